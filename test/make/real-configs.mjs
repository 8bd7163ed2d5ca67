/**
 * Writes test/reference/grub-script/real.cases: whole configurations as distributions' own tools lay them out. Those
 * named "grub-mkconfig" are its real output, on made-up disks (a stand-in answers for grub-probe, and a private /boot
 * holds the kernels); the others follow the shape that each distribution's generator gives its files. Needs root.
 *
 *     node test/make/real-configs.mjs
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const UUID = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
const cases = [];
const add = (name, script, files = {}, devices = "hd0,msdos1") =>
  cases.push({ name, devices, files: { "/case.cfg": script, ...files } });

const grubenv = (variables) => {
  const text = `# GRUB Environment Block\n${Object.entries(variables)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("")}`;
  return text.padEnd(1023, "#");
};

// grub-mkconfig itself.

function mkconfig(settings, kernels) {
  const work = mkdtempSync(join(tmpdir(), "mkconfig-"));
  try {
    const boot = join(work, "boot");
    const etc = join(work, "etc");
    mkdirSync(join(boot, "grub"), { recursive: true });
    mkdirSync(etc);
    for (const kernel of kernels) {
      writeFileSync(join(boot, `vmlinuz-${kernel}`), "kernel");
      writeFileSync(join(boot, `initrd.img-${kernel}`), "initrd");
      writeFileSync(join(boot, `config-${kernel}`), "");
    }
    const probe = join(work, "probe");
    writeFileSync(
      probe,
      `#!/bin/sh
for a in "$@"; do case "$a" in --target=*) t="\${a#--target=}";; fs|fs_uuid|partmap|abstraction|hints_string|compatibility_hint|device|fs_label|partuuid|drive|baremetal_hints|cryptodisk_uuid) t="$a";; esac; done
case "$t" in
fs) echo ext2;; fs_uuid) echo ${UUID[0]};; partmap) echo msdos;; abstraction) ;; hints_string) echo "--hint-bios=hd0,msdos1 --hint-efi=hd0,msdos1 --hint-baremetal=ahci0,msdos1";;
compatibility_hint) echo hd0,msdos1;; device) echo /dev/sda1;; partuuid) echo 01234567-01;; drive) echo "(hd0,msdos1)";; *) exit 1;; esac
`,
    );
    chmodSync(probe, 0o755);
    writeFileSync(
      join(etc, "grub"),
      Object.entries(settings)
        .map(([name, value]) => `${name}="${value}"\n`)
        .join(""),
    );
    // 10_linux looks into /boot and grub-mkconfig reads /etc/default/grub: both are replaced for this process only.
    const script = `set -e
mount --make-rprivate /
mount --bind ${boot} /boot
mkdir -p /etc/default
touch /etc/default/grub
mount --bind ${etc}/grub /etc/default/grub
mount --bind ${probe} /usr/sbin/grub-probe
chmod -x /etc/grub.d/30_os-prober 2>/dev/null || true
grub-mkconfig 2>/dev/null`;
    const env = { ...process.env, LC_ALL: "C" };
    // A bind mount shows where it comes from.
    return execFileSync("unshare", ["-m", "sh", "-c", script], { encoding: "utf8", env }).replaceAll(boot, "/boot");
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const debianKernels = ["6.1.0-13-amd64", "6.1.0-12-amd64"];
add(
  "Debian 12, grub-mkconfig",
  mkconfig(
    {
      GRUB_DEFAULT: "0",
      GRUB_TERMINAL: "console",
      GRUB_TIMEOUT: "5",
      GRUB_DISTRIBUTOR: "Debian",
      GRUB_CMDLINE_LINUX_DEFAULT: "quiet",
    },
    debianKernels,
  ),
);
add(
  "Debian 12, grub-mkconfig, default saved",
  mkconfig(
    {
      GRUB_DEFAULT: "saved",
      GRUB_SAVEDEFAULT: "true",
      GRUB_TERMINAL: "console",
      GRUB_TIMEOUT: "5",
      GRUB_DISTRIBUTOR: "Debian",
    },
    debianKernels,
  ),
  {
    "/boot/grub/grubenv": grubenv({
      saved_entry: `gnulinux-advanced-${UUID[0]}>gnulinux-6.1.0-12-amd64-advanced-${UUID[0]}`,
    }),
  },
);
add(
  "Debian 12, grub-mkconfig, hidden menu and serial console",
  mkconfig(
    {
      GRUB_DEFAULT: "1>2",
      GRUB_TERMINAL: "console",
      GRUB_TIMEOUT: "3",
      GRUB_TIMEOUT_STYLE: "hidden",
      GRUB_DISTRIBUTOR: "Debian",
      GRUB_CMDLINE_LINUX: "console=hvc0 net.ifnames=0",
    },
    debianKernels,
  ),
);
add(
  "Debian 12, grub-mkconfig, no submenu, no recovery",
  mkconfig(
    {
      GRUB_DEFAULT: "2",
      GRUB_TERMINAL: "console",
      GRUB_TIMEOUT: "0",
      GRUB_DISABLE_SUBMENU: "y",
      GRUB_DISABLE_RECOVERY: "true",
      GRUB_DISTRIBUTOR: "Debian",
    },
    ["5.10.0-26-amd64", "5.10.0-25-amd64", "4.19.0-21-amd64"],
  ),
);
add(
  "Debian 12, grub-mkconfig, by PARTUUID and UUID off",
  mkconfig(
    {
      GRUB_DEFAULT: "0",
      GRUB_TERMINAL: "console",
      GRUB_TIMEOUT: "1",
      GRUB_DISABLE_LINUX_UUID: "true",
      GRUB_DISTRIBUTOR: "Debian",
      GRUB_CMDLINE_LINUX: "root=/dev/xvda1",
    },
    ["6.1.0-13-cloud-amd64"],
  ),
);

// The shapes of other generators.

const searchBlock = (uuid, root, indent = "\t") => `${indent}set root='${root}'
${indent}if [ x$feature_platform_search_hint = xy ]; then
${indent}  search --no-floppy --fs-uuid --set=root --hint-bios=${root} --hint-efi=${root} --hint-baremetal=ahci0,msdos1  ${uuid}
${indent}else
${indent}  search --no-floppy --fs-uuid --set=root ${uuid}
${indent}fi
`;
const header = (fallbackDefault, timeout, extra = "") => `set pager=1
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "\${next_entry}" ] ; then
   set default="\${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="${fallbackDefault}"
fi
if [ x"\${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
if [ "\${prev_saved_entry}" ]; then
  set saved_entry="\${prev_saved_entry}"
  save_env saved_entry
  set prev_saved_entry=
  save_env prev_saved_entry
  set boot_once=true
fi
function savedefault {
  if [ -z "\${boot_once}" ]; then
    saved_entry="\${chosen}"
    save_env saved_entry
  fi
}
function load_video {
  if [ x$feature_all_video_module = xy ]; then
    insmod all_video
  else
    insmod efi_gop
    insmod efi_uga
    insmod vga
  fi
}
${extra}
terminal_output console
if [ x$feature_timeout_style = xy ] ; then
  set timeout_style=menu
  set timeout=${timeout}
else
  set timeout=${timeout}
fi
`;
const linuxEntry = ({
  title,
  id,
  kernel,
  initrd,
  args,
  uuid = UUID[0],
  root = "hd0,msdos1",
  classes = "--class gnu-linux --class gnu --class os",
  before = "",
  linux = "linux",
  initrdCommand = "initrd",
  prefix = "/boot",
}) => `menuentry '${title}' ${classes} $menuentry_id_option '${id}' {
${before}\tload_video
	insmod gzio
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	insmod part_msdos
	insmod ext2
${searchBlock(uuid, root)}	echo	'Loading Linux ${kernel} ...'
	${linux}	${prefix}/vmlinuz-${kernel} ${args}
	echo	'Loading initial ramdisk ...'
	${initrdCommand}	${initrd
    .split(" ")
    .map((name) => `${prefix}/${name}`)
    .join(" ")}
}
`;
const recordfail = `function recordfail {
  set recordfail=1
  if [ -n "\${have_grubenv}" ]; then if [ -z "\${boot_once}" ]; then save_env recordfail; fi; fi
}
`;

const ubuntu = (kernels, options = {}) => {
  const { def = "0", timeout = "0", gfx = "$linux_gfx_mode" } = options;
  const entry = (title, id, kernel, args) =>
    linuxEntry({
      title,
      id,
      kernel,
      initrd: `initrd.img-${kernel}`,
      args,
      classes: "--class ubuntu --class gnu-linux --class gnu --class os",
      before: `\trecordfail\n\tgfxmode ${gfx}\n`,
    });
  return `${header(def, timeout, recordfail)}if [ "\${recordfail}" = 1 ] ; then
  set timeout=30
else
  if [ x$feature_timeout_style = xy ] ; then
    set timeout_style=hidden
    set timeout=${timeout}
  elif sleep --interruptible 0 ; then
    set timeout=${timeout}
  fi
fi
set menu_color_normal=white/black
set menu_color_highlight=black/light-gray
function gfxmode {
	set gfxpayload="\${1}"
	if [ "\${1}" = "keep" ]; then
		set vt_handoff=vt.handoff=7
	else
		set vt_handoff=
	fi
}
if [ "\${recordfail}" != 1 ]; then
  if [ -e \${prefix}/gfxblacklist.txt ]; then
    if [ \${grub_platform} != pc ]; then
      set linux_gfx_mode=keep
    else
      set linux_gfx_mode=text
    fi
  else
    set linux_gfx_mode=keep
  fi
else
  set linux_gfx_mode=text
fi
export linux_gfx_mode
${entry("Ubuntu", `gnulinux-simple-${UUID[0]}`, kernels[0], `root=UUID=${UUID[0]} ro  quiet splash $vt_handoff`)}submenu 'Advanced options for Ubuntu' $menuentry_id_option 'gnulinux-advanced-${UUID[0]}' {
${kernels.map((kernel) => entry(`Ubuntu, with Linux ${kernel}`, `gnulinux-${kernel}-advanced-${UUID[0]}`, kernel, `root=UUID=${UUID[0]} ro  quiet splash $vt_handoff`) + entry(`Ubuntu, with Linux ${kernel} (recovery mode)`, `gnulinux-${kernel}-recovery-${UUID[0]}`, kernel, `root=UUID=${UUID[0]} ro recovery nomodeset dis_ucode_ldr `)).join("")}}
`;
};
add("Ubuntu 22.04", ubuntu(["5.15.0-91-generic", "5.15.0-89-generic"]));
add("Ubuntu 20.04 after a failed boot", ubuntu(["5.4.0-170-generic"], { timeout: "10" }), {
  "/boot/grub/grubenv": grubenv({ recordfail: "1" }),
});
add(
  "Ubuntu, default by a path of ids",
  ubuntu(["6.5.0-14-generic", "6.2.0-39-generic"], {
    def: `gnulinux-advanced-${UUID[0]}>gnulinux-6.2.0-39-generic-recovery-${UUID[0]}`,
  }),
);
add("Ubuntu, next_entry set once", ubuntu(["6.8.0-31-generic", "6.5.0-14-generic"], { def: "${saved_entry}" }), {
  "/boot/grub/grubenv": grubenv({ saved_entry: "0", next_entry: "1>2" }),
});
add("Ubuntu, graphics blacklist", ubuntu(["5.15.0-91-generic"]), { "/boot/grub/gfxblacklist.txt": "v8086d*sv*sd*\n" });

const fedora = (
  entries,
  def,
  options = {},
) => `${header(def, options.timeout ?? "5", "if [ -f ${config_directory}/user.cfg ]; then source ${config_directory}/user.cfg; fi")}
### 10_linux
${entries.map(([kernel, name]) => linuxEntry({ title: `${name} (${kernel})`, id: `gnulinux-${kernel}-advanced-${UUID[0]}`, kernel, initrd: `initramfs-${kernel}.img`, prefix: options.prefix ?? "", args: options.args ?? "root=/dev/mapper/fedora-root ro rd.lvm.lv=fedora/root rd.lvm.lv=fedora/swap rhgb quiet LANG=en_US.UTF-8", linux: options.linux ?? "linux", initrdCommand: options.initrd ?? "initrd", classes: "--class fedora --class gnu-linux --class gnu --class os --unrestricted", before: "\tset gfxpayload=keep\n" })).join("")}
if [ "x$default" = 'x${entries[0][1]} (${entries[0][0]})' ]; then default='Advanced options>${entries[0][0]}'; fi;
`;
add(
  "Fedora 27, saved title",
  fedora(
    [
      ["4.18.19-100.fc27.x86_64", "Fedora"],
      ["4.18.18-100.fc27.x86_64", "Fedora"],
      ["0-rescue-abcdef", "Fedora"],
    ],
    "${saved_entry}",
  ),
  { "/boot/grub/grubenv": grubenv({ saved_entry: "Fedora (4.18.18-100.fc27.x86_64)" }) },
);
add(
  "Fedora 25, EFI commands",
  fedora([["4.13.16-100.fc25.x86_64", "Fedora"]], "0", { linux: "linuxefi", initrd: "initrdefi" }),
);
add(
  "CentOS 7",
  fedora(
    [
      ["3.10.0-1160.el7.x86_64", "CentOS Linux"],
      ["0-rescue-0123", "CentOS Linux"],
    ],
    "${saved_entry}",
    {
      linux: "linux16",
      initrd: "initrd16",
      args: "root=/dev/mapper/centos-root ro crashkernel=auto rd.lvm.lv=centos/root rhgb quiet",
    },
  ),
  { "/boot/grub/grubenv": grubenv({ saved_entry: "CentOS Linux (3.10.0-1160.el7.x86_64)" }) },
);
add(
  "RHEL 7, superuser and password",
  `set superusers="root"
export superusers
password_pbkdf2 root grub.pbkdf2.sha512.10000.AA.BB
${fedora([["3.10.0-1160.el7.x86_64", "Red Hat Enterprise Linux Server"]], "0", { linux: "linux16", initrd: "initrd16" })}`,
);
const bls = `set default="\${saved_entry}"
if [ "\${env_block}" ] ; then
  set env_block="(\${root})\${env_block}"
  load_env -f "\${env_block}"
elif [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "\${next_entry}" ] ; then
   set default="\${next_entry}"
   set next_entry=
   set boot_once=true
else
   set default="\${saved_entry}"
fi
insmod part_gpt
insmod ext2
${searchBlock(UUID[0], "hd0,msdos1", "")}if [ -z "\${kernelopts}" ]; then
  set kernelopts="root=UUID=${UUID[1]} ro rhgb quiet"
fi
insmod increment
if [ -n "\${boot_counter}" -a "\${boot_success}" = "0" ]; then
  if  [ "\${boot_counter}" = "0" -o "\${boot_counter}" = "-1" ]; then
    set default=1
    set boot_counter=-1
  fi
fi
set timeout=5
blscfg
if [ "\${boot_success}" = "1" -o "\${boot_indeterminate}" = "1" ]; then
  set menu_hide_ok=1
else
  set menu_hide_ok=0
fi
echo "hide=$menu_hide_ok default=$default opts=$kernelopts"
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' { fwsetup_not_here; }
`;
const blsFiles = {
  "/loader/entries/abc-6.5.6-300.fc39.x86_64.conf":
    "title Fedora Linux (6.5.6-300.fc39.x86_64) 39\nversion 6.5.6-300.fc39.x86_64\nlinux /vmlinuz-6.5.6\ninitrd /initramfs-6.5.6.img\noptions $kernelopts\n",
};
add("Fedora 39, BLS under a GRUB without blscfg", bls, {
  ...blsFiles,
  "/boot/grub/grubenv": grubenv({ saved_entry: "abc-6.5.6-300.fc39.x86_64", boot_success: "1" }),
});
add("RHEL 9, BLS, counted boots", bls, {
  ...blsFiles,
  "/boot/grub/grubenv": grubenv({ kernelopts: "root=/dev/mapper/rhel-root ro", boot_success: "0", boot_counter: "0" }),
});

const suse = (kernels, options = {}) => `set btrfs_relative_path="y"
export btrfs_relative_path
${header(
  options.def ?? "0",
  options.timeout ?? "8",
  `if [ -f "\${config_directory}/snapshot.cfg" ]; then source "\${config_directory}/snapshot.cfg"; fi
if [ -n "$extra_cmdline" ]; then echo "extra: $extra_cmdline"; fi`,
)}
${linuxEntry({ title: "openSUSE Leap 15.5", id: `gnulinux-simple-${UUID[0]}`, kernel: kernels[0], initrd: `initrd-${kernels[0]}`, args: `root=UUID=${UUID[0]}  \${extra_cmdline} splash=silent quiet security=apparmor mitigations=auto`, classes: "--class opensuse --class gnu-linux --class gnu --class os" })}submenu "Advanced options for openSUSE Leap 15.5" --hotkey=1 $menuentry_id_option 'gnulinux-advanced-${UUID[0]}' {
${kernels.map((kernel) => linuxEntry({ title: `openSUSE Leap 15.5, with Linux ${kernel}`, id: `gnulinux-${kernel}-advanced-${UUID[0]}`, kernel, initrd: `initrd-${kernel}`, args: `root=UUID=${UUID[0]}  \${extra_cmdline}` })).join("")}}
if [ -f  \${config_directory}/custom.cfg ]; then
  source \${config_directory}/custom.cfg
elif [ -z "\${config_directory}" -a -f  $prefix/custom.cfg ]; then
  source $prefix/custom.cfg
fi
`;
add("openSUSE Leap 15.5", suse(["5.14.21-150500.55.39-default"]));
add(
  "openSUSE Tumbleweed, two kernels, saved submenu",
  suse(["6.6.7-1-default", "6.6.3-1-default"], { def: "${saved_entry}" }),
  { "/boot/grub/grubenv": grubenv({ saved_entry: "Advanced options for openSUSE Leap 15.5>1" }) },
);
add("SLES with a custom.cfg", suse(["5.14.21-150400.22-default"], { timeout: "0" }), {
  "/custom.cfg":
    "menuentry 'Custom entry' --id custom {\n  echo custom from $config_directory\n}\nset default=custom\n",
});
add(
  "SUSE, xen hypervisor entries",
  `${suse(["6.4.0-xen"])}
submenu 'openSUSE, with Xen hypervisor' --class xen $menuentry_id_option 'xen-simple' {
  menuentry 'Xen' {
${searchBlock(UUID[0], "hd0,msdos1")}    echo 'Loading Xen ...'
    if [ "$grub_platform" = "pc" -o "$grub_platform" = "" ]; then xen_rm_opts=; else xen_rm_opts="no-real-mode edd=off"; fi
    multiboot2 /boot/xen.gz vga=gfx-1024x768x16 \${xen_rm_opts} "two words"
    module2 /boot/vmlinuz-6.4.0-xen placeholder root=UUID=${UUID[0]}
    module2 --nounzip /boot/initrd-6.4.0-xen
  }
}
`,
);

const arch = (def, timeout, extra = "") => `insmod part_gpt
insmod part_msdos
${header(def, timeout)}
${linuxEntry({ title: "Arch Linux", id: `gnulinux-simple-${UUID[0]}`, kernel: "linux", initrd: "intel-ucode.img initramfs-linux.img", args: `root=UUID=${UUID[0]} rw  loglevel=3 quiet`, classes: "--class arch --class gnu-linux --class gnu --class os" })}submenu 'Advanced options for Arch Linux' $menuentry_id_option 'gnulinux-advanced-${UUID[0]}' {
${linuxEntry({ title: "Arch Linux, with Linux linux-lts", id: "lts", kernel: "linux-lts", initrd: "initramfs-linux-lts.img", args: `root=UUID=${UUID[0]} rw` })}${linuxEntry({ title: "Arch Linux, with Linux linux (fallback initramfs)", id: "fallback", kernel: "linux", initrd: "initramfs-linux-fallback.img", args: `root=UUID=${UUID[0]} rw` })}}
${extra}`;
add("Arch Linux", arch("0", "5"));
add("Arch Linux, LTS by title", arch("Advanced options for Arch Linux>Arch Linux, with Linux linux-lts", "1"));
add(
  "Arch Linux, written by hand",
  `set timeout=3
set default="lts"
menuentry "Arch Linux" { search --set=root --label label0; linux /vmlinuz-linux root=LABEL=label0 rw; initrd /initramfs-linux.img; }
menuentry "Arch LTS" --id lts { search --set=root --label label0
linux /vmlinuz-linux-lts root=LABEL=label0 rw init=/bin/systemd
initrd /initramfs-linux-lts.img }
menuentry "Shutdown" { halt }
menuentry "Reboot" { reboot }
`,
);
add(
  "Alpine Linux",
  `${header("0", "2")}${linuxEntry({ title: "Alpine Linux v3.19, with Linux virt", id: "virt", kernel: "virt", initrd: "initramfs-virt", args: `root=UUID=${UUID[0]} ro  modules=sd-mod,usb-storage,ext4 quiet rootfstype=ext4`, classes: "--class alpine --class gnu-linux" })}`,
);
add(
  "Alpine Linux, install medium",
  `set timeout=1
menuentry "Linux virt" {
linux	/boot/vmlinuz-virt modules=loop,squashfs,sd-mod,usb-storage quiet console=tty0 console=ttyS0,115200
initrd	/boot/initramfs-virt
}
`,
);
const gentoo = (body) =>
  `set timeout=10\nset default=0\nif [ x$feature_default_font_path = xy ]; then font=unicode; else font=/usr/share/grub/unicode.pf2; fi\n${body}`;
add(
  "Gentoo",
  `${header("0", "5")}${linuxEntry({ title: "Gentoo GNU/Linux", id: "gentoo", kernel: "6.1.57-gentoo-dist", initrd: "initramfs-6.1.57-gentoo-dist.img", args: "root=/dev/xvda2 ro  ", classes: "--class gentoo --class gnu-linux" })}`,
);
add(
  "Gentoo, by hand with a loop over kernels",
  gentoo(`for k in /boot/kernel-*; do
  if regexp --set=1:v 'kernel-([0-9.]+)' "$k"; then
    menuentry "Gentoo $v" "$k" "$v" {
      kernel="$2"
      echo "booting $kernel"
      linux "$kernel" root=/dev/sda3
      if [ -f "/boot/initramfs-$3.img" ]; then initrd "/boot/initramfs-$3.img"; fi
    }
  fi
done
`),
  { "/boot/kernel-6.1.57": "k", "/boot/kernel-6.6.1": "k", "/boot/initramfs-6.6.1.img": "i" },
);
add(
  "Gentoo, dual boot with chainloading",
  gentoo(`menuentry 'Gentoo' { root=hd0,1
linux /kernel-3.8.13-gentoo root=/dev/sda3 }
menuentry 'Windows' { insmod ntfs; set root='(hd0,msdos1)'; chainloader +1; }
`),
);

add(
  "EFI stub of Ubuntu: search, then configfile",
  `search.fs_uuid ${UUID[1]} root hd0,msdos2
set prefix=($root)'/boot/grub'
configfile $prefix/grub.cfg
echo "back: $root $prefix"
`,
  { "(hd0,msdos2)/boot/grub/grub.cfg": 'echo "in $config_file"\necho "$root $prefix"\n' },
  "hd0,msdos1+msdos2",
);
add(
  "EFI stub of Fedora",
  `search --no-floppy --root-dev-only --fs-uuid --set=dev ${UUID[1]}
if [ -z "$dev" ]; then search --no-floppy --fs-uuid --set=dev ${UUID[1]}; fi
set prefix=($dev)/grub2
export $prefix
configfile $prefix/grub.cfg
`,
  { "(hd0,msdos2)/grub2/grub.cfg": "echo reached $prefix $dev\n" },
  "hd0,msdos1+msdos2",
);
add(
  "Debian live image",
  `if loadfont $prefix/font.pf2 ; then
  set gfxmode=800x600
  set gfxpayload=keep
  terminal_output gfxterm
fi
set default=0
set timeout=30
insmod play
submenu 'Other kernels' --hotkey=o { menuentry 'Old' { linux /live/vmlinuz-old boot=live; initrd /live/initrd-old; } }
menuentry "Live system (amd64)" --hotkey=l {
	linux	/live/vmlinuz-6.1.0-13-amd64 boot=live components quiet splash findiso=\${iso_path}
	initrd	/live/initrd.img-6.1.0-13-amd64
}
menuentry "Check medium" { for f in /live/*; do echo $f; done; }
`,
  { "/live/a": "a", "/live/b": "b" },
);
add(
  "Proxmox, separate boot partition and md",
  `${header("0", "5")}${linuxEntry({ title: "Proxmox VE GNU/Linux", id: "pve", kernel: "6.5.11-4-pve", initrd: "initrd.img-6.5.11-4-pve", args: "root=/dev/mapper/pve-root ro  quiet", uuid: UUID[1], root: "hd0,msdos2", prefix: "" })}`,
  { "(hd0,msdos2)/vmlinuz-6.5.11-4-pve": "k" },
  "hd0,msdos1+msdos2",
);
add(
  "Debian's Xen host image: four probes",
  `if search -s -f /boot/xen/pvboot-x86_64.elf ; then
	echo "Chainloading (\${root})/boot/xen/pvboot-x86_64.elf"
	multiboot "/boot/xen/pvboot-x86_64.elf"
fi
if search -s -f /xen/pvboot-x86_64.elf ; then
	echo "Chainloading (\${root})/xen/pvboot-x86_64.elf"
	multiboot "/xen/pvboot-x86_64.elf"
fi
if search -s -f /boot/grub/grub.cfg ; then
	echo "Reading (\${root})/boot/grub/grub.cfg"
	configfile /boot/grub/grub.cfg
fi
if search -s -f /grub/grub.cfg ; then
	echo "Reading (\${root})/grub/grub.cfg"
	configfile /grub/grub.cfg
fi
`,
  { "(hd0,msdos2)/xen/pvboot-x86_64.elf": "elf", "(hd0,msdos1)/grub/grub.cfg": "echo inner $root\n" },
  "hd0,msdos1+msdos2",
);
add(
  "A site's guest menu with functions and hidden entries",
  `set default=0
set timeout=4
function entry {
  menuentry "$1" --id "$2" "$2" "$3" {
    set root=hd0,msdos1
    linux /boot/vmlinuz-$2 root=/dev/xvda1 ro $3
    initrd /boot/initrd-$2
  }
}
for v in 6.1.0 5.10.0; do
  entry "Linux $v" $v "quiet"
  entry "Linux $v, single user" $v-single "single"
done
default=5.10.0
if [ -s $prefix/local.cfg ]; then . $prefix/local.cfg; fi
`,
  { "/boot/grub/local.cfg": "menuentry Local { echo local; }\nfallback=0\n" },
);

const text = cases
  .map(({ name, devices, files }) => {
    const { "/case.cfg": script, ...others } = files;
    const sections = Object.entries(others).map(
      ([path, content]) => `--- ${path}\n${content.endsWith("\n") ? content : `${content}\n`}`,
    );
    return `=== ${name} [devices=${devices} errors=off]\n${script.replace(/\n*$/, "\n")}${sections.join("")}`;
  })
  .join("");
writeFileSync(fileURLToPath(new URL("../reference/grub-script/real.cases", import.meta.url)), text);
console.log(`${cases.length} configurations`);
