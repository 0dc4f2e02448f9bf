"use strict";
globalThis.hicm ??= {};
{
  const PREDICTIONS = 6;  // colours that predictions share, --lane-0 to --lane-5 of the style sheet

  /**
   * The name of the colour of a lane: predictions cycle through theirs, references and speech have one each.
   * @param {{kind: string}[]} lanes
   * @param {number} lane
   * @returns {string} of a custom property `--lane-NAME`
   */
  function name(lanes, lane) {
    const {kind} = lanes[lane];
    if (kind !== "prediction") return kind;
    return String(lanes.slice(0, lane).filter((one) => one.kind === "prediction").length % PREDICTIONS);
  }

  hicm.colours = {name};
}
