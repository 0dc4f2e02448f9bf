"""File formats of annotated and predicted moments.  One file per format, found by its name (`hicm.plugins`).

A format file defines

    FORM                        how the format looks, for help and error messages
    SIDE                        "annotations", "predictions", or "durations", which go with annotations
    matches(source)             whether a `hicm.source.Source` looks like it
    read(source)                `hicm.moments.records.Annotations` or `Submission`; {video: seconds} for durations

Annotations whose file has no durations define ``NEEDS_DURATIONS = True``; their ``read(source, durations)`` takes those
of another file (None: not given).  Every format is asked whether content `matches`, so it looks at little and is
strict: what two formats claim is refused.  ``read`` raises UserError, naming file and query, for damage.  Other
packages offer a format through the entry-point group ``hicm.moment_formats``; it is asked where none of these fits.
"""
