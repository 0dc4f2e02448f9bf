"""File formats of predictions and references.  One file per format, found by its name (`hicm.plugins`).

A format file defines

    FORM                        how the format looks, for help and error messages
    matches(source)             whether a `hicm.source.Source` looks like it
    read(source, reading)       hands the events to a `hicm.dvc_eval.inputs.reading.Reading`

and, where it is the format of one side only, ``SIDE = "predictions"`` or ``"references"``.  Every format is asked
whether content `matches`, so it looks at little and is strict: what two formats claim is refused.  Lines that no event
can be made of are handed to `Reading.unread`, which counts them.  ``read`` raises UserError, naming file, video and
event, for damage.  Other packages offer a format through the entry-point group ``hicm.formats``; it is asked where none
of these fits.
"""
