"""The file itself: whose session, when, by whom."""

from datetime import datetime, tzinfo
from uuid import NAMESPACE_URL, uuid5

from pynwb import NWBFile
from pynwb.file import Subject

from bci.config.conditions import conditions_in_words
from bci.config.metadata import UNKNOWN_AGE, Animal
from bci.config.session_type import what_happens
from bci.program import DISTRIBUTION
from bci.recording.nwb.series import storable
from bci.recording.session_record import SessionRecord
from bci.recording.time_axis import TimeAxis

KEYWORDS = ("two-photon imaging", "brain-computer interface", "learning")


def new_file(record: SessionRecord, axis: TimeAxis) -> NWBFile:
    """An NWB file with everything that stands at its head.

    The identifier follows from the session's name and its settings: exported twice, a session
    keeps it.
    """
    manifest, lab = record.manifest, record.session.lab
    experiment = record.session.experiment
    session_type = experiment.session_type
    started = datetime.fromisoformat(manifest.started)
    notes = "\n".join(
        [
            *(f"{axis.of_perf(note.perf_ns):.1f} s: {note.value.text}" for note in record.notes),
            *(f"The record was damaged. {loss}" for loss in record.losses),
        ]
    )
    name = f"{DISTRIBUTION}/{manifest.session}/{manifest.settings_hash}"
    return NWBFile(
        session_description=(
            f"Two-photon session '{manifest.session}' ({conditions_in_words(experiment)}) of the "
            f"experiment '{experiment.name}' on the rig '{record.session.rig.name}'. "
            f"{axis.description}"
        ),
        identifier=str(uuid5(NAMESPACE_URL, name)),
        session_start_time=datetime.fromtimestamp(axis.start_wall_ns / 1e9, started.tzinfo),
        session_id=manifest.session,
        experiment_description=(
            "The activity of two ensembles of neurons, P+ and P-, is read out frame by frame. "
            f"Session type {session_type.kind}: {what_happens(session_type)}"
        ),
        experimenter=lab.experimenters or None,
        lab=lab.name,
        institution=lab.institution,
        keywords=(*KEYWORDS, session_type.kind.replace("_", " ")),
        protocol=experiment.name,
        notes=storable(notes) or None,
        subject=_subject(record.session.animal, manifest.subject, started.tzinfo),
        was_generated_by=[[DISTRIBUTION, manifest.program.version]],
    )


def _subject(animal: Animal, subject_id: str, where: tzinfo | None) -> Subject:
    born = animal.date_of_birth
    # in the session's time zone, wherever the file is made
    at_midnight = datetime(born.year, born.month, born.day, tzinfo=where) if born else None
    told = animal.age != UNKNOWN_AGE or born is None
    return Subject(
        subject_id=subject_id,
        species=animal.species,
        sex=animal.sex,
        age=animal.age if told else None,
        date_of_birth=at_midnight,
        strain=animal.strain,
        genotype=animal.genotype,
        weight=f"{animal.weight_g / 1000:g} kg" if animal.weight_g else None,
        description=f"Indicator: {animal.indicator}.",
    )
