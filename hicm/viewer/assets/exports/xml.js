"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  /** @typedef {{tag: string, fields: Record<string, string>, text: string, inside: Node[]}} Node */

  /**
   * @param {string} tag
   * @param {Record<string, string>} [fields] attributes, in order
   * @param {...(Node | string)} inside elements, or one text
   * @returns {Node}
   */
  function node(tag, fields = {}, ...inside) {
    return {tag, fields, text: inside.filter((one) => typeof one === "string").join(""),
            inside: inside.filter((one) => typeof one !== "string")};
  }

  /**
   * An indented document.
   * @param {Node} root
   * @param {string} [doctype] what follows `<!DOCTYPE `
   * @returns {string}
   */
  function document(root, doctype = "") {
    const declared = doctype ? `<!DOCTYPE ${doctype}>\n` : "";
    return `<?xml version="1.0" encoding="UTF-8"?>\n${declared}${written(root, "\n")}\n`;
  }

  function written({tag, fields, text, inside}, line) {
    const open = `${tag}${Object.entries(fields).map(([name, value]) => ` ${name}="${attribute(value)}"`).join("")}`;
    const inner = `${line}  `;
    if (inside.length) return `<${open}>${inside.map((one) => inner + written(one, inner)).join("")}${line}</${tag}>`;
    return text ? `<${open}>${hicm.text.escaped(text)}</${tag}>` : `<${open} />`;
  }

  function attribute(text) {
    return hicm.text.escaped(text).replaceAll('"', "&quot;").replaceAll("\r", "&#13;").replaceAll("\n", "&#10;")
      .replaceAll("\t", "&#09;");
  }

  hicm.xml = {node, document};
}
