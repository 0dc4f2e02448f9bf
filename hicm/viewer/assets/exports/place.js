"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  const PLAIN = /[A-Za-z0-9_.\-~/]/;
  const KINDS = {".mp4": "video/mp4", ".m4v": "video/x-m4v", ".mov": "video/quicktime", ".qt": "video/quicktime",
                 ".webm": "video/webm", ".avi": "video/x-msvideo", ".mpeg": "video/mpeg", ".mpg": "video/mpeg",
                 ".mkv": "video/x-matroska", ".ogv": "video/ogg", ".flv": "video/x-flv", ".wmv": "video/x-ms-wmv",
                 ".ts": "video/mp2t", ".3gp": "video/3gpp"};

  /**
   * The URL of the video file: the one given, otherwise that of its path, absolute if the path is.
   * @param {{source: string, uri?: string}} captioned
   * @returns {string}
   */
  function uri({source, uri: known}) {
    if (known) return known;
    const parts = source.split("/").filter((part) => part && part !== ".").map(quoted);
    if (!source.startsWith("/")) return parts.join("/");
    return `file://${/^\/\/(?!\/)/.test(source) ? "/" : ""}/${parts.join("/")}`;
  }

  /** Percent-encoded; lone surrogates stand for the bytes of a name that is not UTF-8. */
  function quoted(text) {
    const bytes = (sign) => {
      const code = sign.codePointAt(0);
      return code >= 0xdc80 && code <= 0xdcff ? [code - 0xdc00] : [...new TextEncoder().encode(sign)];
    };
    return hicm.text.characters(text).map((sign) => PLAIN.test(sign) ? sign
      : bytes(sign).map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")).join("");
  }

  /** The MIME type of a video file by its name. @param {string} source @returns {string} */
  function mime(source) {
    return KINDS[/\.[^./]*$/.exec(source)?.[0].toLowerCase()] ?? "unknown";
  }

  hicm.place = {uri, quoted, mime};
}
