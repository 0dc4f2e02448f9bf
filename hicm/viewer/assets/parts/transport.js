"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el, iconButton, relabel} = hicm.dom;
  const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2, 4];

  /**
   * The buttons below the video.
   * @param {hicm.Session} session
   * @param {HTMLElement} screen the element for full screen
   * @returns {HTMLElement}
   */
  function transport(session, screen) {
    const {player, duration} = session;
    const play = iconButton("play", "Play", "space", () => player.toggle());
    play.classList.add("play");
    const digits = duration < 3600 ? 2 : 1;
    const now = el("span", {class: "now"});
    const seek = el("input", {type: "range", class: "seek", min: 0, max: duration, step: "any", value: 0,
                              "aria-label": "Position in the video",
                              on: {input: () => session.seek(Number(seek.value))}});
    const speed = el("select", {"aria-label": "Speed", title: "Speed",
                                on: {change: () => player.setSpeed(Number(speed.value))}},
                     ...SPEEDS.map((rate) => el("option", {value: rate, text: `${rate}×`, selected: rate === 1})));
    const mute = iconButton("sound", "Mute", "m", () => toggleSound(session));
    const full = iconButton("full", "Full screen", "f", () => toggleFull(screen));
    const loop = iconButton("loop", "Loop the event", "l", () => session.toggleLoop());
    loop.setAttribute("aria-pressed", "false");

    const showTime = () => {
      now.textContent = hicm.time.clock(player.time, digits);
      seek.value = player.time;
      seek.style.setProperty("--share", `${player.time / duration * 100}%`);
      const spoken = `${hicm.time.spoken(player.time)} of ${hicm.time.spoken(duration)}`;
      if (seek.getAttribute("aria-valuetext") !== spoken) seek.setAttribute("aria-valuetext", spoken);
    };
    const showState = () => {
      relabel(play, player.playing ? "pause" : "play", player.playing ? "Pause" : "Play", "space");
      const element = player.hasVideo ? player.medium.element : null;
      mute.hidden = !element || session.view.picture?.sound === false;
      relabel(mute, element?.muted ? "muted" : "sound", element?.muted ? "Unmute" : "Mute", "m");
      full.hidden = !element || !document.fullscreenEnabled;
    };
    session.on("time", showTime);
    session.on("playing sound", showState);
    session.on("loop", () => loop.setAttribute("aria-pressed", String(session.looping)));
    showTime();
    showState();
    return el("div", {class: "transport", role: "group", "aria-label": "Player"},
      iconButton("previous", "Previous event", "[", () => session.stepEvent(-1)), play,
      iconButton("next", "Next event", "]", () => session.stepEvent(1)),
      el("span", {class: "time"}, now, el("span", {class: "of", text: ` / ${hicm.time.clock(duration)}`})),
      seek, loop, speed, mute, full);
  }

  function toggleSound(session) {
    const {player} = session;
    if (!player.hasVideo) return;
    player.medium.element.muted = !player.medium.element.muted;
    session.emit("sound");
  }

  function toggleFull(screen) {
    if (document.fullscreenElement) document.exitFullscreen();
    else screen.requestFullscreen?.();
  }

  hicm.parts.transport = transport;
  hicm.parts.toggleSound = toggleSound;
  hicm.parts.toggleFull = toggleFull;
}
