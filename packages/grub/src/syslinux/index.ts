export { syslinuxDefault, syslinuxMenu, syslinuxPlan } from "./menu.js";
export {
  parseSyslinux,
  type SyslinuxConfig,
  type SyslinuxEntry,
  type SyslinuxReader,
  type SyslinuxSetting,
} from "./parse.js";
