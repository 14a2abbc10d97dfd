/* The start trigger of the microscope: high for 1 ms. */
#ifndef SCOPE_H
#define SCOPE_H

void scope_trigger(void);

#endif
