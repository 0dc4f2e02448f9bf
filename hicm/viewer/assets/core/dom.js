"use strict";
globalThis.hicm ??= {};
{
  const SVG = "http://www.w3.org/2000/svg";
  const ICONS = {
    play: "M8 5v14l11-7z", pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
    previous: "M7 6h2v12H7zM10 12l8 6V6z", next: "M15 6h2v12h-2zM6 6v12l8-6z",
    loop: "M7 7h9V4l4 4-4 4V9H9v3H7zM17 17H8v3l-4-4 4-4v3h7v-3h2z",
    sound: "M4 9v6h4l5 4V5L8 9zM15.5 8.5a4.5 4.5 0 0 1 0 7z",
    muted: "M4 9v6h4l5 4V5L8 9zM15.5 9.2l1.3-1.3 2.2 2.2 2.2-2.2 1.3 1.3-2.2 2.3 2.2 2.2-1.3 1.3-2.2-2.2-2.2 2.2" +
      "-1.3-1.3 2.2-2.2z",
    full: "M5 5h5v2H7v3H5zM14 5h5v5h-2V7h-3zM5 14h2v3h3v2H5zM17 14h2v5h-5v-2h3z",
    link: "M8 8h3v2H8a2 2 0 0 0 0 4h3v2H8a4 4 0 0 1 0-8zM13 8h3a4 4 0 0 1 0 8h-3v-2h3a2 2 0 0 0 0-4h-3zM9 11h6v2H9z",
    undo: "M9 5v4h5a5 5 0 0 1 0 10H8v-2h6a3 3 0 0 0 0-6H9v4L4 10z",
    redo: "M15 5v4h-5a5 5 0 0 0 0 10h6v-2h-6a3 3 0 0 1 0-6h5v4l5-5z",
    add: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z", closer: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z", farther: "M5 11h14v2H5z",
    fit: "M4 6h2v12H4zM18 6h2v12h-2zM7 12l3-3v2h4V9l3 3-3 3v-2h-4v2z",
    here: "M7 4h10l-4 6v10h-2V10z",
    remove: "M9 4h6l1 2h4v2H4V6h4zM6 9h12l-1 11H7z", copy: "M8 4h11v13h-2V6H8zM5 7h10v13H5z",
    up: "M12 8l6 6-1.4 1.4L12 10.8l-4.6 4.6L6 14z", down: "M12 16l-6-6 1.4-1.4L12 13.2l4.6-4.6L18 10z",
  };

  /**
   * A new element.  `class`, `text`, `dataset` and `on` (listeners by event) have their own meaning; other fields are
   * set as properties where the element has them, otherwise as attributes.  Never HTML, so that captions stay text.
   * @param {string} tag
   * @param {Record<string, unknown>} [fields]
   * @param {...(Node | string | null | undefined)} children
   * @returns {HTMLElement}
   */
  function el(tag, fields = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(fields)) {
      if (name === "class") element.className = value;
      else if (name === "text") element.textContent = value;
      else if (name === "dataset") Object.assign(element.dataset, value);
      else if (name === "on") Object.entries(value).forEach(([event, act]) => element.addEventListener(event, act));
      else if (name in element && !name.startsWith("aria") && name !== "role") element[name] = value;
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  /** @param {string} name of `ICONS` @returns {SVGElement} hidden from screen readers */
  function icon(name) {
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", "0 0 24 24");
    picture.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", ICONS[name]);
    picture.append(path);
    return picture;
  }

  /**
   * A button with a picture.
   * @param {string} picture name of an icon
   * @param {string} label what it does
   * @param {string} keys that do the same; "" for none
   * @param {() => void} act
   * @returns {HTMLButtonElement}
   */
  function iconButton(picture, label, keys, act) {
    return el("button", {type: "button", class: "icon", title: keys ? `${label} (${keys})` : label, "aria-label": label,
                         on: {click: act}}, icon(picture));
  }

  /**
   * Change the picture and label of a button.
   * @param {HTMLElement} button
   * @param {string} picture name of an icon
   * @param {string} label
   * @param {string} keys that do the same; "" for none
   */
  function relabel(button, picture, label, keys) {
    if (button.dataset.shown === picture) return;
    button.dataset.shown = picture;
    button.replaceChildren(icon(picture));
    button.title = keys ? `${label} (${keys})` : label;
    button.setAttribute("aria-label", label);
  }

  /** @param {() => void} act @returns {() => void} runs it once before the next repaint, however often called */
  function eachFrame(act) {
    let asked = false;
    return () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        act();
      });
    };
  }

  hicm.dom = {el, icon, iconButton, relabel, eachFrame};
}
