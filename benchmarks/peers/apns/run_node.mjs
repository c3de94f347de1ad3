// Node's http2 against the stand-in: node run_node.mjs <port> <pem> <pushes> <connections>
import { connect } from "node:http2";
import { readFileSync } from "node:fs";

const [port, pem, pushes, connections] = process.argv.slice(2);
const ca = readFileSync(pem);
const open = () =>
  new Promise((resolve, reject) => {
    const session = connect(`https://127.0.0.1:${port}`, { ca, key: ca, cert: ca });
    session.on("remoteSettings", () => resolve(session));
    session.on("error", reject);
  });

function pushAll(sessions, count) {
  return new Promise((resolve) => {
    let next = 0, done = 0, accepted = 0;
    const one = (session) => {
      if (next >= count) return;
      const token = (next++).toString(16).padStart(64, "0");
      const headers = { ":method": "POST", ":path": `/3/device/${token}`, "apns-topic": "pass.example.passbell" };
      const request = session.request(headers);
      let ok = false;
      request.on("response", (answer) => (ok = answer[":status"] === 200));
      request.on("error", () => {});
      request.on("close", () => {
        accepted += ok;
        if (++done === count) resolve(accepted);
        else one(session);
      });
      request.resume();
      request.end("{}");
    };
    for (let stream = 0; stream < 1000; stream++) sessions.forEach(one);
  });
}

const sessions = await Promise.all(Array.from({ length: Number(connections) }, open));
await pushAll(sessions, 100);
const started = performance.now(), before = process.cpuUsage();
const accepted = await pushAll(sessions, Number(pushes));
const seconds = (performance.now() - started) / 1000, used = process.cpuUsage(before);
const rss_mb = Math.round(process.resourceUsage().maxRSS / 1024);
console.log(JSON.stringify({ seconds, cpu: (used.user + used.system) / 1e6, accepted, rss_mb }));
process.exit(0);
