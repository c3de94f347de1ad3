// passkit-generator for so many seconds of processor time, from a model in memory: the last pass to a file, a count to the caller.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { PKPass } from "passkit-generator";

const [folder, seconds, last] = process.argv.slice(2);
const walk = (path) => (statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => walk(join(path, name))) : [path]);
const root = join(folder, "files");
const files = Object.fromEntries(walk(root).map((path) => [relative(root, path), readFileSync(path)]));
const certificates = {
  wwdr: readFileSync(join(folder, "wwdr.pem")),
  signerCert: readFileSync(join(folder, "pass.pem")),
  signerKey: readFileSync(join(folder, "pass-key.pem")),
};

let count = 0;
let archive;
const used = () => process.cpuUsage().user + process.cpuUsage().system; // microseconds
const start = used();
while (used() - start < seconds * 1e6) {
  const pass = new PKPass(files, certificates, { serialNumber: `serial-${count}` });
  archive = pass.getAsBuffer();
  count += 1;
}
const elapsed = (used() - start) / 1e6;
writeFileSync(last, archive);
console.log(JSON.stringify({ passes: count, seconds: elapsed }));
