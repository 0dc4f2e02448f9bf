"use strict";

(() => {
  const UPLOADS = {post: "-X POST -T talk.mp4", put: "-X PUT -H 'If-Match: ETAG' -T talk.json"};

  function el(tag, classes, ...children) {
    const element = document.createElement(tag);
    if (classes) element.className = classes;
    element.append(...children.filter((child) => child !== ""));
    return element;
  }

  const code = (text) => el("code", "", text);

  function table(rows) {
    const body = el("tbody", "", ...rows.map((cells) => el("tr", "", ...cells.map((cell) => el("td", "", cell)))));
    return rows.length ? el("table", "", body) : "";
  }

  /** A short name of a schema's type. */
  function kind(schema) {
    if (!schema) return "";
    if (schema.$ref) return schema.$ref.split("/").pop();
    if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
    if (schema.enum) return schema.enum.join(" | ");
    if (schema.type === "array") return `list of ${kind(schema.items)}`;
    return schema.format || schema.type || "";
  }

  function command(path, method, parameters, upload) {
    const how = method === "get" ? "" : upload ? UPLOADS[method] : `-X ${method.toUpperCase()}`;
    const query = parameters.filter((one) => one.in === "query").map((one) => `${one.name}=${examples[one.name] || one.schema.default}`);
    const address = `${location.origin}${path.replace("{job_id}", "ID")}${query.length ? `?${query.join("&")}` : ""}`;
    return ["curl", how, `'${address}'`].filter(Boolean).join(" ");
  }

  const examples = {name: "talk.mp4", format: "srt"};

  function route(path, method, about) {
    const parameters = about.parameters || [];
    const taken = parameters.map((one) => [code(one.name), kind(one.schema), one.description || ""]);
    if (about.requestBody) taken.push(["body", Object.keys(about.requestBody.content)[0], about.requestBody.description]);
    const answers = Object.entries(about.responses).map(([status, one]) => {
      const content = Object.values(one.content || {})[0];
      const shown = content && kind(content.schema);
      return [code(status), shown === "Answer" || shown === "HTTPValidationError" ? "" : shown || "", one.description];
    });
    return el("section", "route",
      el("h3", "", el("span", "method", method.toUpperCase()), code(path), el("span", "", about.summary)),
      about.description ? el("p", "", about.description) : "",
      el("pre", "", command(path, method, parameters, Boolean(about.requestBody))),
      table(taken), el("p", "", "Answers"), table(answers));
  }

  function record(name, schema) {
    const rows = Object.entries(schema.properties || {}).map(([field, one]) =>
      [code(field), kind(one), one.description || ""]);
    return el("section", "route", el("h3", "", code(name)), schema.description ? el("p", "", schema.description) : "",
      table(rows));
  }

  async function start() {
    const api = await (await fetch("/openapi.json")).json(), main = document.getElementById("api");
    document.getElementById("about").textContent = `${api.info.summary} ${api.info.description}`;
    main.append(el("h2", "", "Requests"));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, about] of Object.entries(methods)) main.append(route(path, method, about));
    }
    main.append(el("h2", "", "Records"));
    for (const name of ["Job", "Progress", "About"]) main.append(record(name, api.components.schemas[name]));
  }

  start().catch((error) => document.getElementById("api").append(el("p", "notice", `The API cannot be read (${error.message}).`)));
})();
