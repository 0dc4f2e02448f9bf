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

    let local = "", name = view.source || "The video";
    const explain = (why) => {
      reason.textContent = why;
      video.hidden = Boolean(why);
      without.hidden = !why;
      element.classList.toggle("empty", Boolean(why));
    };
    const load = (address) => {
      video.src = address;
      explain("");
      player.use(video);
    };
    player.watch(video);
    video.addEventListener("click", () => player.toggle());
    video.addEventListener("loadedmetadata", () => {
      if (!video.videoWidth) explain(`This browser cannot show the picture of ${name}, and plays its sound alone.`);
    });
    video.addEventListener("error", () => {
      explain(`${name} ${fault(video.error, player.time, Boolean(local))}. The timeline works without it.`);
      player.use(null);
    });
    file.addEventListener("change", () => {
      if (!file.files.length) return;
      if (local) URL.revokeObjectURL(local);
      local = URL.createObjectURL(file.files[0]);
      name = file.files[0].name;
      load(local);
    });
    if (view.video) load(view.video);
    else {
      explain(view.source ? `${view.source} is not here; the timeline works without it.`
        : "There is no video; the timeline works without it.");
    }
    return element;
  }

  /** Why a video does not play, as the end of a sentence. */
  function fault(error, time, chosen) {
    if (error?.code === MediaError.MEDIA_ERR_DECODE) {
      return `cannot be played from ${hicm.time.clock(time, 1)} on: the file is damaged`;
    }
    return `cannot be played here: ${chosen ? "" : "it was not found, or "}this browser does not know its format`;
  }

  hicm.parts.stage = stage;
}
