"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el} = hicm.dom;

  /**
   * The video, or a button to open its file.
   * @param {hicm.Session} session
   * @returns {HTMLElement}
   */
  function stage(session) {
    const {view, player} = session;
    const video = el("video", {playsInline: true, preload: "metadata", tabIndex: -1,
                               "aria-label": `Video ${view.title || view.id}`});
    const file = el("input", {type: "file", accept: "video/*,audio/*,.mkv", hidden: true, tabIndex: -1,
                              "aria-label": "Video file"});
    const reason = el("p");
    const open = el("button", {type: "button", text: "Open the video file…", on: {click: () => file.click()}});
    const without = el("div", {class: "without"}, reason, open, file);
    const element = el("div", {class: "stage"}, video, without);

    const show = (usable) => {
      video.hidden = !usable;
      without.hidden = usable;
      element.classList.toggle("empty", !usable);
      player.use(usable ? video : null);
    };
    const load = (address) => {
      video.src = address;
      show(true);
    };
    player.watch(video);
    video.addEventListener("click", () => player.toggle());
    video.addEventListener("error", () => {
      reason.textContent = `${view.source || "The video"} cannot be played here; the timeline works without it.`;
      show(false);
    });
    let local = "";
    file.addEventListener("change", () => {
      if (!file.files.length) return;
      if (local) URL.revokeObjectURL(local);
      local = URL.createObjectURL(file.files[0]);
      load(local);
    });
    if (view.video) load(view.video);
    else {
      reason.textContent = view.source ? `${view.source} is not here; the timeline works without it.`
        : "There is no video; the timeline works without it.";
      show(false);
    }
    return element;
  }

  hicm.parts.stage = stage;
}
