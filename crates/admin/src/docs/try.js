// Renders the document of this gateway. What is tried goes with the session of whoever is signed in, or with the token that they enter.
"use strict";

// What shows that a request by cookie comes from a page of this gateway.
async function csrf() {
  const told = await fetch("/api/v1/session", { credentials: "same-origin" });
  return told.ok ? (await told.json()).csrf_token : undefined;
}

async function sign(request) {
  const url = new URL(request.url, location.href);
  const safe = ["GET", "HEAD", "OPTIONS"].includes((request.method || "GET").toUpperCase());
  const bearer = Object.keys(request.headers || {}).some((name) => name.toLowerCase() === "authorization");
  if (safe || bearer || url.origin !== location.origin) {
    return request;
  }
  const proof = await csrf();
  if (proof) {
    request.headers["x-lingate-csrf"] = proof;
  }
  return request;
}

window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    tryItOutEnabled: true,
    withCredentials: true,
    validatorUrl: null,
    docExpansion: "none",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    requestInterceptor: sign,
  });
});
