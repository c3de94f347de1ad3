// An APNs of Node's HTTP/2: node node_apns.mjs key.pem certificate.pem fault
// Prints its port; when its input ends, how often it answered 200 for each token.
import { constants, createSecureServer } from "node:http2";
import { readFileSync } from "node:fs";

const [key, cert, fault] = process.argv.slice(2);
const server = createSecureServer({
  key: readFileSync(key),
  cert: readFileSync(cert),
  settings: { maxConcurrentStreams: fault === "few streams" ? 7 : 1000 },
});
const accepted = {};
let seen = 0;

function answer(stream, headers) {
  if (stream.destroyed) return;
  const token = headers[":path"].split("/").pop();
  const status = token.endsWith("0") ? 410 : 200;
  if (status === 200) accepted[token] = (accepted[token] ?? 0) + 1;
  stream.respond({ ":status": status, "apns-id": headers["apns-id"] });
  stream.end(status === 200 ? "" : JSON.stringify({ reason: "Unregistered", timestamp: 1 }));
}

server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  let body = "";
  stream.on("data", (chunk) => (body += chunk));
  stream.on("end", () => {
    if (headers[":method"] !== "POST" || body !== "{}" || !headers["apns-topic"]) process.exit(1);
    seen += 1;
    const session = stream.session;
    if (fault === "goodbye" && seen % 300 === 0) session?.close();
    if (fault === "cut" && seen % 300 === 0) return session?.destroy();
    if (fault === "reset" && seen % 20 === 0) return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    if (fault === "ping" && seen % 50 === 0) session?.ping(() => {});
    if (fault === "settings" && seen % 100 === 0) session?.settings({ headerTableSize: seen % 200 ? 0 : 4096 });
    setTimeout(answer, seen % 5, stream, headers);
  });
});
server.on("session", (session) => session.on("error", () => {}));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => {
  process.stdout.write(JSON.stringify(accepted), () => process.exit(0)); // a pipe takes 64 KB at once
});
process.stdin.resume();
