"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  // What Python takes for white space, control characters, lone surrogates, and the two reserved characters.
  const BLANK = /[\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufffe\uffff\p{Cs}]+/gu;
  const ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"};

  /**
   * White space, and characters that subtitles or XML cannot hold, become single blanks.
   * @param {string} text
   * @returns {string}
   */
  function oneLine(text) {
    return text.replace(BLANK, " ").replace(/^ | $/g, "");
  }

  /** Serialised JSON: `json` only indents its lines. */
  class Ready {
    /** @param {string} text */
    constructor(text) {
      this.text = text;
    }
  }

  /** A number that Python knows as a float. @param {number | null} value @returns {Ready | null} */
  function float(value) {
    return value === null || value === undefined ? null : new Ready(hicm.numbers.float(value));
  }

  /**
   * JSON as Python writes it with `indent=1, ensure_ascii=False`.
   * @param {unknown} value numbers are whole; floats are wrapped by `float`; a Map is an object whose names may be any
   * @param {string} [indent] of the line that it stands in
   * @returns {string}
   */
  function json(value, indent = "") {
    const inner = `${indent} `;
    if (value instanceof Ready) return value.text.replaceAll("\n", `\n${indent}`);
    if (typeof value === "string") return jsonString(value);
    if (value === null || typeof value !== "object") return String(value);
    const list = Array.isArray(value);
    const fields = list ? [] : [...value instanceof Map ? value : Object.entries(value)];
    const lines = list ? value.map((one) => json(one, inner))
      : fields.map(([name, one]) => `${jsonString(name)}: ${json(one, inner)}`);
    const [open, close] = list ? "[]" : "{}";
    return lines.length ? `${open}\n${inner}${lines.join(`,\n${inner}`)}\n${indent}${close}` : open + close;
  }

  function jsonString(text) {
    return `"${text.replace(/["\\\u0000-\u001f]/g, (sign) =>
      ESCAPES[sign] ?? `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
  }

  /** @param {string} text @returns {string} with references for `&`, `<` and `>` */
  function escaped(text) {
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  }

  /** @param {string} text @returns {string[]} its characters, as Python counts them */
  function characters(text) {
    return Array.from(text);
  }

  /** Text that UTF-8 can encode: "?" for lone surrogates. @param {string} text @returns {string} */
  function utf8(text) {
    return text.replace(/\p{Cs}/gu, "?");
  }

  hicm.text = {oneLine, Ready, float, json, escaped, characters, utf8};
}
