"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const {cues, shortClock} = hicm.clock;
  const {characters} = hicm.text;
  const FEWEST = 3, MOST = 30;
  const SHORTEST = 10;  // seconds
  const LONGEST_TITLE = 70;  // characters that the list of chapters shows
  const LONGEST_TEXT = 5000;  // bytes of a description
  const INTRO = "Intro";

  /** [start in seconds, title] by YouTube's rules, of the coarsest level that has enough. */
  function chapters(events, duration) {
    const tried = hicm.layout.levels(events).map((level) =>
      fewer(cues(events.filter((event) => event.level === level)), duration));
    const enough = tried.find((found) => found.length >= FEWEST);
    if (enough) return enough;
    const left = Math.max(0, ...tried.map((found) => found.length));
    throw new hicm.Refused(`YouTube shows chapters only if there are three or more, each of ${SHORTEST} seconds or ` +
      `more; here ${left} can be made (${events.length} event${events.length === 1 ? "" : "s"} in ` +
      `${hicm.numbers.fixed(duration, 0)} seconds)`);
  }

  /** Chapters of 10 seconds or more; the minimum doubles while there are too many or the text is too long. */
  function fewer(found, duration) {
    for (let shortest = SHORTEST; ; shortest *= 2) {
      const kept = atLeast(shortest, found, duration);
      if (kept.length <= MOST && new TextEncoder().encode(written(kept)).length <= LONGEST_TEXT) return kept;
    }
  }

  /** The most chapters of `shortest` seconds or more that the starts allow; a null cue is the intro. */
  function atLeast(shortest, found, duration) {
    let kept = [[0, null]];
    for (const cue of found) {
      const start = Math.ceil(cue.start / 1000);
      const last = kept.at(-1);
      if (cue === found[0] && start < shortest) kept = [[0, cue]];
      else if (start - last[0] >= shortest && duration - start >= shortest) kept.push([start, cue]);
      else kept[kept.length - 1] = [last[0], longer(last[1], cue)];
    }
    return found.length ? kept.map(([start, cue]) => [start, titleOf(cue)]) : [];
  }

  function longer(one, other) {
    return one === null || one.end - one.start >= other.end - other.start ? one : other;
  }

  function titleOf(cue) {
    const text = cue === null ? INTRO : cue.text.replaceAll("<", "‹").replaceAll(">", "›");
    const all = characters(text);
    return all.length <= LONGEST_TITLE ? text : `${all.slice(0, LONGEST_TITLE - 1).join("").trimEnd()}…`;
  }

  function written(found) {
    return found.map(([start, title]) => `${shortClock(start)} ${title}\n`).join("");
  }

  /** Chapters in the description of a YouTube video.  As `hicm/exports/youtube.py`. */
  hicm.exports.youtube = {
    suffix: ".youtube.txt", title: "YouTube", about: "chapters for the description", group: "Chapters",
    render: (captioned) => written(chapters(captioned.events, captioned.duration)),
  };
}
