/* Limits compiled in, which no host can raise, and what each rule of safety is called.
 *
 * A build with -DWITHOUT_<RULE> leaves one rule out. Such a build is for the tests alone, which
 * show with it that the rule is what holds the promise.
 */
#ifndef LIMITS_H
#define LIMITS_H

#define HARD_MAX_OPEN_US 1000000UL
#define MIN_OPEN_US 100UL
#define MIN_GAP_US 1000UL
#define MIN_WATCHDOG_MS 50
#define MAX_WATCHDOG_MS 60000
#define MAX_DUTY_PERMILLE 1000
#define DUTY_WINDOW_US 10000000UL

/* The gate's times are held in 16 bits of timer 1, so its longest opening is this. */
#define HARD_MAX_GATE_US 30000U
/* Below this the valve and the EEPROM are not to be trusted; above it the USB port is not. */
#define MIN_SUPPLY_MV 4500
#define MAX_SUPPLY_MV 5500

/* Share of the shortest accepted frame period in which gate and light may be up. */
#define HARD_MAX_GATE_PERMILLE 500UL

#define RULE(name) (!RULE_OFF(WITHOUT_##name))
#define RULE_OFF(flag) RULE_OFF_(flag)
#define RULE_OFF_(flag) (#flag[0] == '1')

#endif
