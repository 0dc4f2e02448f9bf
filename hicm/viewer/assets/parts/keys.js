"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el} = hicm.dom;
  const KEYS = [
    ["Play", [["space", "play or pause"], ["← →", "5 seconds back or forward"],
              ["Shift ← →", "one frame back or forward"],
              ["[ ]", "previous or next event"], ["l", "loop the event"], ["m", "mute"], ["f", "full screen"]]],
    ["Edit", [["e", "edit the text of the event"], ["i o", "start or end at the playhead"],
              ["n", "new event at the playhead"], ["s", "split at the playhead"], ["j", "merge with the next event"],
              ["Delete", "delete the event"], ["Ctrl Z", "undo"], ["Ctrl Shift Z", "redo"]]],
    ["View", [["/", "search"], ["+ −", "zoom in or out"], ["0", "show the whole video"],
              ["Ctrl wheel", "zoom at the pointer"], ["Shift wheel", "scroll the timeline"],
              ["Esc", "back to the timeline"], ["?", "show these keys"]]],
  ];
  const SAVE = ["Ctrl S", "save"];
  const TYPED = "input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]";
  const viewers = [];
  let last = null;

  /** Send keys to a viewer while it is in use. @param {{element: HTMLElement, session: hicm.Session}} viewer */
  function listen(viewer) {
    if (!viewers.length) document.addEventListener("keydown", pressed);
    viewers.push(viewer);
    const use = () => {
      last = viewer;
    };
    viewer.element.addEventListener("pointerdown", use, true);
    viewer.element.addEventListener("focusin", use);
  }

  /** @returns the viewer that keys are for: the one in use, or the only one */
  function current() {
    return last ?? (viewers.length === 1 ? viewers[0] : null);
  }

  function pressed(event) {
    const viewer = current();
    if (!viewer || event.defaultPrevented || event.isComposing) return;
    if (asksToSave(event, viewer.session)) return;
    const inside = viewer.element.contains(event.target);
    if (!inside && event.target !== document.body && event.target !== document.documentElement) return;
    const typing = event.target.matches?.(TYPED);
    const open = event.target.closest?.("dialog[open]");
    if (open) return;
    const sign = /^[^\p{L}\d\s]$/u.test(event.key);  // on many keyboards, brackets need AltGr or Option
    if (event.key === "Escape") leave(event, viewer, typing);
    else if ((event.ctrlKey || event.metaKey) && !(sign && event.altKey)) back(event, viewer.session, typing);
    else if (!typing && (sign || !event.altKey)) act(event, viewer.session, viewer);
  }

  /** Save, wherever the focus is; only where a page can. @returns {boolean} was it the key? */
  function asksToSave(event, session) {
    const asked = session.saves && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey &&
      event.key.toLowerCase() === "s";
    if (!asked) return false;
    event.preventDefault();
    session.emit("save");
    return true;
  }

  function leave(event, viewer, typing) {
    if (typing) event.target.blur();
    viewer.element.focus({preventScroll: true});
  }

  function back(event, session, typing) {
    const key = event.key.toLowerCase();
    if (typing && event.target.type === "search") return;
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) session.redo();
    else session.undo();
  }

  function act(event, session, viewer) {
    const onButton = event.target.closest?.("button:not(.events [aria-pressed='true']), summary, a[href]");
    if (onButton && (event.key === " " || event.key === "Enter")) return;
    if (event.target.type === "range" && ["Home", "End", "PageUp", "PageDown"].includes(event.key)) return;
    const command = commands(session, viewer)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!command) return;
    event.preventDefault();
    command(event);
  }

  const commands = (session, viewer) => ({
    " ": () => session.player.toggle(),
    ArrowLeft: (event) => event.shiftKey ? session.stepFrame(-1) : session.step(-5),
    ArrowRight: (event) => event.shiftKey ? session.stepFrame(1) : session.step(5),
    "[": () => session.stepEvent(-1),
    "]": () => session.stepEvent(1),
    l: () => session.toggleLoop(),
    e: () => session.emit("edit"),
    i: () => session.setHere("start"),
    o: () => session.setHere("end"),
    n: () => session.addHere(),
    s: () => session.splitChosen(),
    j: () => session.mergeChosen(),
    m: () => hicm.parts.toggleSound(session),
    f: () => session.player.hasVideo && hicm.parts.toggleFull(viewer.screen),
    Delete: () => session.removeChosen(),
    Backspace: () => session.removeChosen(),
    "/": () => session.emit("find"),
    "+": () => session.zoom(0.5),
    "=": () => session.zoom(0.5),
    "-": () => session.zoom(2),
    "0": () => session.fit(),
    "?": () => session.emit("help"),
  });

  /** The dialog that shows the keys. @param {hicm.Session} session @returns {HTMLDialogElement} */
  function help(session) {
    const all = (title, keys) => title === "Edit" && session.saves ? [...keys, SAVE] : keys;
    const groups = KEYS.map(([title, keys]) => el("div", {}, el("h3", {text: title}),
      el("dl", {}, ...all(title, keys).flatMap(([key, meaning]) => [
        el("dt", {}, ...key.split(" ").map((one) => el("kbd", {text: one}))), el("dd", {text: meaning})]))));
    const dialog = el("dialog", {class: "help", "aria-label": "Keys"},
      el("header", {}, el("h2", {text: "Keys"}),
        el("button", {type: "button", text: "Close", on: {click: () => dialog.close()}})),
      el("div", {class: "key-groups"}, ...groups));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    session.on("help", () => dialog.showModal());
    return dialog;
  }

  hicm.parts.listen = listen;
  hicm.parts.help = help;
}
