"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {two} = hicm.clock;
  const MOST = 999;  // markers: numbers have three digits
  const HOURS = 23;  // 24, less the hour at which timelines begin

  /** `HH:MM:SS:FF` of a frame counted from 0, on a timeline that begins at one hour. */
  function timeCode(frame, rate) {
    const each = rate.round();
    const seconds = Math.floor(frame / each);
    return [Math.floor(seconds / 3600) + 1, Math.floor(seconds / 60) % 60, seconds % 60, frame % each].map(two)
      .join(":");
  }

  /** An edit decision list of markers, for DaVinci Resolve.  As `hicm/exports/edl.py`. */
  hicm.exports.edl = {
    suffix: ".edl", title: "EDL markers", about: "for DaVinci Resolve", group: "Editors",
    render(captioned) {
      const rate = hicm.clock.editorRate(captioned.picture?.frame_rate ?? null);
      const found = hicm.clock.markers(captioned.events, rate, captioned.duration);
      if (found.length > MOST) {
        throw new hicm.Refused(`an EDL holds ${MOST} markers, found ${found.length}; use fcpxml or otio`);
      }
      if (captioned.duration >= HOURS * 3600) {
        throw new hicm.Refused("time code ends at 24 hours, and timelines begin at 1; the video has " +
                               `${hicm.numbers.fixed(captioned.duration / 3600, 1)} hours`);
      }
      const lines = [`TITLE: ${hicm.text.oneLine(captioned.id)}`, "FCM: NON-DROP FRAME", ""];
      found.forEach(([first, last, text], place) => {
        const here = `${timeCode(first, rate)} ${timeCode(first + 1, rate)}`;
        lines.push(`${String(place + 1).padStart(3, "0")}  001      V     C        ${here} ${here}`,
                   ` |C:ResolveColorBlue |M:${text.replaceAll("|", "/")} |D:${last - first + 1}`, "");
      });
      return lines.join("\n") + "\n";
    },
  };
}
