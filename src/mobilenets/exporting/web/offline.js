// The page without a network: its files are kept, and used only while the server does not answer.

const FILES = ["FILES"].map((name) => new URL(name, self.location).href);
const KEPT = `mobilenets ${self.registration.scope}`;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)));
});

// The server first: a model exported anew, or another page at this address, must not be answered by the one before.
self.addEventListener("fetch", (event) => {
  if (FILES.includes(event.request.url)) {
    event.respondWith(fromServer(event.request).catch(() => fromStore(event.request)));
  }
});

async function fromServer(request) {
  const response = await fetch(request, { cache: "no-cache" }); // an unchanged file is not sent again
  if (response.ok) {
    const cache = await caches.open(KEPT);
    await cache.put(request, response.clone()).catch(() => {}); // a full store is no reason to fail
  }
  return response;
}

async function fromStore(request) {
  return (await caches.match(request, { cacheName: KEPT })) ?? Response.error();
}
