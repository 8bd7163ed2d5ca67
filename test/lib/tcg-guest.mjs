/**
 * A small Linux guest under QEMU's emulation (TCG), for what the kernel of the test machine lacks: md, device-mapper,
 * version 4 of XFS, casefold. It is Debian's own kernel with an initramfs of busybox and of the tools asked for, as they
 * are installed on this machine; it runs one shell script over the disk images given, and is gone.
 *
 * A boot takes 10 to 20 s on two cores: let one serve a whole test file. Guests are slow, not small: let the script
 * print what is to be compared (checksums, listings), and compare on the host.
 *
 *     const { stdout } = await runInGuest({
 *       disks: [image],
 *       tools: ["mdadm"],
 *       modules: MD_MODULES,
 *       script: `
 *         mdadm --create /dev/md0 --run --level=1 --raid-devices=2 /dev/vda1 /dev/vda2
 *         sha256sum /dev/md0
 *       `,
 *     });
 *
 * In the guest:
 * - the images are /dev/vda, /dev/vdb, ... in the order given, written to in place; their partitions are there too;
 * - the shell is busybox's ash with `set -eu`: the first command that fails ends the script, and the guest;
 * - busybox's applets stand behind the tools asked for; there is no udev: device nodes come from devtmpfs, those of
 *   device-mapper from the tools themselves (LVM wants `activation { udev_sync=0 udev_rules=0 }`), and there is no
 *   network;
 * - modules are loaded before the script, in the order given, with what they need; the kernel asks for none by itself;
 * - /proc, /sys, /dev, /run and /tmp are mounted; the clock is the host's.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { dependencyOf, unpackPackage } from "../boots/kernels.mjs";

/** Every personality of md. */
export const MD_MODULES = ["linear", "raid0", "raid1", "raid10", "raid456"];
/** The targets that LVM uses: RAID, mirrors, snapshots, thin volumes, caches. */
export const LVM_MODULES = [
  ...["raid0", "raid1", "raid10", "raid456", "dm-mod", "dm-raid", "dm-mirror", "dm-snapshot", "dm-thin-pool"],
  ...["dm-cache", "dm-cache-smq", "dm-writecache"],
];

/** What each guest needs for itself: the disks, the ports of its answers, and checksums that others ask for by name. */
const BASE_MODULES = ["virtio_pci", "virtio_blk", "virtio_console", "crc32c_generic", "crc32_generic"];
/** 31 slots of one PCI bus, less those of the machine itself and of the answers. */
const MAX_DISKS = 26;
const SHARED = join(tmpdir(), "guestprobe-tcg-guest");

/**
 * Boots the guest, runs `script` in it and waits for its end.
 *
 * @param {object} options
 * @param {string} options.script for busybox's ash
 * @param {readonly string[]} [options.disks] paths of raw images, at most 26; they are changed by what the script does
 * @param {readonly string[]} [options.tools] programs of this machine ("mdadm", "/usr/sbin/lvm"), brought with the
 *   libraries that they are linked to; in the guest each is /usr/sbin/NAME
 * @param {readonly string[]} [options.modules] kernel modules, by file name without `.ko`; those built in are left out
 * @param {Readonly<Record<string, string | Uint8Array>>} [options.files] further files: absolute path to content
 * @param {number} [options.memory] MiB; all files of the guest lie in its memory
 * @param {number} [options.timeout] seconds, boot included
 * @returns {Promise<{ stdout: string, log: string }>} what the script printed, and the console with its standard error
 * @throws Error if the script failed or the guest did not come to its end; the message has the end of the console
 */
export async function runInGuest({
  script,
  disks = [],
  tools = [],
  modules = [],
  files = {},
  memory = 512,
  timeout = 300,
}) {
  if (disks.length > MAX_DISKS) throw new Error(`${disks.length} disks: a guest takes at most ${MAX_DISKS}`);
  const work = mkdtempSync(join(tmpdir(), "tcg-guest-"));
  try {
    const system = guestSystem();
    const initrd = join(work, "initrd");
    const order = moduleOrder(system, [...BASE_MODULES, ...modules]);
    makeInitrd(initrd, join(work, "root"), { system, tools, order, files: { ...files, "/script": script } });
    const paths = { stdout: join(work, "stdout"), status: join(work, "status"), console: join(work, "console") };
    const ended = await runQemu(qemuArguments({ system, initrd, disks, memory, paths }), timeout);
    const read = (path) => (existsSync(path) ? readFileSync(path, "utf8") : "");
    const log = read(paths.console);
    const status = read(paths.status).trim();
    if (status !== "0") {
      const what = status === "" ? `the guest did not come to its end (${ended})` : `the script failed (${status})`;
      const tail = (text) => text.split(/\r?\n/).slice(-40).join("\n");
      throw new Error(`${what}; it printed:\n${tail(read(paths.stdout))}\nconsole:\n${tail(log)}`);
    }
    return { stdout: read(paths.stdout), log };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/**
 * Debian's kernel for clouds, which has the drivers and nothing else, and busybox, as apt fetches them. Unpacked once
 * for all test files of a machine; a folder is moved into place whole, so that two at a time do no harm.
 */
function guestSystem() {
  const kernel = dependencyOf("linux-image-cloud-amd64", /^linux-image-.*-cloud-amd64$/);
  if (kernel === undefined) throw new Error("apt knows no linux-image-cloud-amd64: apt-get update?");
  const release = kernel.replace("linux-image-", "");
  const folder = join(SHARED, release);
  if (!existsSync(folder)) {
    mkdirSync(SHARED, { recursive: true });
    const fresh = mkdtempSync(join(SHARED, "new-"));
    for (const name of [kernel, "busybox-static"]) renameSync(unpackPackage(fresh, name), join(fresh, name));
    try {
      renameSync(fresh, folder);
    } catch (error) {
      rmSync(fresh, { recursive: true });
      if (!existsSync(folder)) throw error;
    }
  }
  const modules = new Map();
  const root = join(folder, kernel, "lib/modules", release, "kernel");
  for (const entry of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (entry.endsWith(".ko")) modules.set(basename(entry, ".ko").replaceAll("-", "_"), join(root, entry));
  }
  const builtin = readFileSync(join(root, "../modules.builtin"), "utf8").matchAll(/([^/\n]+)\.ko$/gm);
  return {
    kernel: join(folder, kernel, "boot", `vmlinuz-${release}`),
    busybox: join(folder, "busybox-static/bin/busybox"),
    modules,
    builtin: new Set([...builtin].map(([, name]) => name.replaceAll("-", "_"))),
  };
}

/** The files of the modules asked for and of those that they depend on, in the order in which they load. */
function moduleOrder({ modules, builtin }, wanted) {
  const order = new Set();
  const visit = (asked) => {
    const name = asked.replaceAll("-", "_");
    const path = modules.get(name);
    if (path === undefined) {
      if (builtin.has(name)) return;
      throw new Error(`Debian's kernel has no module ${asked}`);
    }
    if (order.has(path)) return;
    // .modinfo holds "depends=a,b" between two NULs.
    const [, depends = ""] = /\0depends=([^\0]*)\0/.exec(readFileSync(path, "latin1")) ?? [];
    for (const name of depends.split(",").filter(Boolean)) visit(name);
    order.add(path);
  };
  for (const name of wanted) visit(name);
  return [...order];
}

const INIT = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/bin
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t tmpfs run /run
/bin/busybox --install -s /bin
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
for module in $(cat /modules); do insmod "/lib/modules/$module" || echo "insmod $module failed"; done
for name in /sys/class/virtio-ports/*; do ln -s "/dev/\${name##*/}" "/dev/$(cat "$name/name")"; done
hostname guest
cd /tmp
sh -eu /script >/dev/stdout-port </dev/null
echo $? >/dev/status-port
poweroff -f
`;

function makeInitrd(path, root, { system, tools, order, files }) {
  const put = (name, content, mode) => {
    const to = join(root, name);
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, content, { mode });
  };
  const copy = (from, name) => {
    const to = join(root, name);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(realpathSync(from), to);
  };
  for (const folder of ["dev", "proc", "sys", "run", "tmp", "etc", "mnt", "usr/bin", "usr/sbin"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  for (const tool of tools) {
    const from = locateTool(tool);
    copy(from, join("usr/sbin", basename(from)));
    for (const library of librariesOf(from)) copy(library, library);
  }
  copy(system.busybox, "bin/busybox");
  copy(system.busybox, "bin/sh");
  for (const module of order) copy(module, join("lib/modules", basename(module)));
  put("modules", order.map((module) => `${basename(module)}\n`).join(""), 0o644);
  for (const [name, content] of Object.entries(files)) put(name, content, 0o755);
  put("init", INIT, 0o755);
  const list = execFileSync("find", ["."], { cwd: root });
  const archive = execFileSync("cpio", ["-o", "-H", "newc", "--quiet"], { cwd: root, input: list, maxBuffer: 1 << 29 });
  writeFileSync(path, archive);
}

function locateTool(tool) {
  if (tool.startsWith("/")) return tool;
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"];
  const found = folders.map((folder) => join(folder, tool)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`this machine has no ${tool}`);
  return found;
}

/** The shared libraries of a program, and its loader, as the loader finds them. */
function librariesOf(program) {
  const head = readFileSync(program).subarray(0, 4).toString("latin1");
  if (head !== "\x7fELF") return [];
  let listed = "";
  try {
    listed = execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    // A static program has none, and ldd fails on it.
    if (!/not a dynamic executable/.test(String(error.stderr))) throw error;
  }
  return [...listed.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path]) => path);
}

function qemuArguments({ system, initrd, disks, memory, paths }) {
  const port = (id, path) => [
    ...["-chardev", `file,id=${id},path=${path}`],
    ...["-device", `virtserialport,chardev=${id},name=${id}-port`],
  ];
  return [
    ...["-machine", "pc,accel=tcg", "-cpu", "max", "-m", `${memory}`, "-nodefaults", "-no-user-config", "-no-reboot"],
    ...["-display", "none", "-kernel", system.kernel, "-initrd", initrd],
    ...["-append", "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check nokaslr rdinit=/init"],
    ...["-chardev", `file,id=console,path=${paths.console}`, "-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci", ...port("stdout", paths.stdout), ...port("status", paths.status)],
    ...disks.flatMap((path, index) => [
      ...["-drive", `file=${path.replaceAll(",", ",,")},format=raw,if=none,id=d${index},cache=unsafe,discard=unmap`],
      ...["-device", `virtio-blk-pci,drive=d${index}`],
    ]),
  ];
}

/** Resolves, when QEMU has ended, to how it ended. Not in this thread: a test runner must go on meanwhile. */
function runQemu(args, timeout) {
  return new Promise((resolve, reject) => {
    const child = spawn("qemu-system-x86_64", args, { stdio: ["ignore", "ignore", "pipe"] });
    let printed = "";
    child.stderr.on("data", (data) => {
      printed += data;
    });
    let late = "";
    const timer = setTimeout(() => {
      late = `stopped after ${timeout} s; `;
      child.kill("SIGKILL");
    }, timeout * 1000);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve(`${late}qemu-system-x86_64 ended with ${code ?? signal}${printed === "" ? "" : `: ${printed.trim()}`}`);
    });
  });
}
