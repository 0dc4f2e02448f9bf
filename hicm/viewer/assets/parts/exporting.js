"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el} = hicm.dom;

  hicm.parts.exporting = (session) => el("button", {type: "button", class: "primary", text: "Export", session: null});
}
