"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const COLUMNS = ["video", "duration", "start", "end", "sentence", "score", "level"];

  function cell(value) {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** A table for spreadsheets and scripts.  As `hicm/exports/csv.py`. */
  hicm.exports.csv = {
    suffix: ".csv", title: "CSV", about: "a table for spreadsheets", group: "Data",
    render(captioned) {
      const {float} = hicm.numbers;
      const rows = captioned.events.map(({start, end, text, score, level}) =>
        [captioned.id, float(captioned.duration), float(start), float(end), text,
         score === null ? null : float(score), level]);
      return [COLUMNS, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
    },
  };
}
