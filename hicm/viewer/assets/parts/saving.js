"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el} = hicm.dom;

  /**
   * The buttons that save, and that show the captions as they were before any correction.
   * @param {hicm.Session} session
   * @param {hicm.Saver} saver
   * @returns {HTMLElement[]}
   */
  function saving(session, saver) {
    const original = el("button", {type: "button", "aria-label": "Original captions",
                                   title: "Show the captions without corrections; undo brings yours back",
                                   on: {click: () => saver.showOriginal()}},
                        "Original", el("span", {class: "where-wide", text: " captions"}));
    const button = el("button", {type: "button", class: "primary", text: "Save", title: "Save (Ctrl S)",
                                 "aria-keyshortcuts": "Control+S Meta+S", on: {click: () => saver.save()}});
    const update = () => {
      for (const one of [button, original]) one.setAttribute("aria-disabled", String(saver.busy));
      original.hidden = !session.view.save.original;
    };
    session.on("save", () => saver.save());
    saver.on("state", update);
    update();
    return [original, button];
  }

  /**
   * How saving stands.
   * @param {hicm.Session} session
   * @param {hicm.Saver} saver
   * @returns {string} "" where nothing is to be said
   */
  function stateOf({history: {changed}}, {state, problem, overtaken, keeper}) {
    if (state === "saving") return "Saving …";
    if (state === "loading") return "Loading …";
    if (state === "failed") return `Not saved: ${problem}${keeper.works ? ". Your edits stay in this browser." : ""}`;
    if (overtaken) return `Somebody else or another tab has saved since.${changed ? " Yours are not saved." : ""}`;
    return state === "saved" && !changed ? "Saved" : "";
  }

  hicm.parts.saving = saving;
  hicm.parts.stateOf = stateOf;
}
