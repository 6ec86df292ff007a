/**
 * Installs what is missing before a script of package.json runs, so that a fresh clone needs one command. Plain
 * JavaScript that Node 20 runs, with nothing but Node's own modules: it is what brings Node 24 and all the rest.
 * When everything is there it reads two files and ends.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 20;
const project = fileURLToPath(new URL('..', import.meta.url));
const programs = join(project, 'node_modules', '.bin');

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  stop(`Node ${OLDEST_NODE} or newer is needed to install Cleave; this is ${process.versions.node}. Get one at https://nodejs.org.`);
}
const reason = whyToInstall();
if (reason) install(reason);

/** What is not as package-lock.json says, or undefined. */
function whyToInstall() {
  const installed = packagesIn('node_modules/.package-lock.json');
  if (!installed) return 'nothing is installed yet';
  const wanted = packagesIn('package-lock.json') ?? stop('package-lock.json is missing: restore it with git.');
  const outdated = Object.keys(wanted).find((path) => path !== '' && !isInstalled(wanted[path], installed[path]));
  if (outdated) return `${outdated} is missing or out of date`;
  // Its install script may have been refused; and what it links to may be gone.
  return existsSync(join(programs, 'node')) ? undefined : 'Node 24 is missing';
}

function packagesIn(lockfile) {
  const file = join(project, lockfile);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined;
}

function isInstalled(wanted, found) {
  if (found) return found.version === wanted.version && found.integrity === wanted.integrity;
  return wanted.optional === true && !isForThisMachine(wanted);
}

function isForThisMachine({ os, cpu, libc }) {
  return (!os || os.includes(process.platform)) && (!cpu || cpu.includes(process.arch)) && (!libc || libc.includes(ownLibc()));
}

function ownLibc() {
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
}

function install(why) {
  process.stdout.write(`Installing the packages of package-lock.json (${why}); this takes a minute or so …\n`);
  // `include=dev` for the sake of NODE_ENV=production: Node 24 itself is a development dependency.
  const flags = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', flags, { cwd: project, stdio: 'inherit', env: environment() });
  if (error) stop(`npm cannot be run (${error.message}): it comes with Node, see https://nodejs.org.`);
  if (status !== 0) {
    stop(`Installing failed, see above. Check that the registry can be reached and ${project} can be written to; then try again.`);
  }
  const still = whyToInstall();
  if (still) stop(`npm ended well, but ${still}. Check that install scripts may run (npm config get ignore-scripts); then run: npm ci`);
}

/** Without our own programs on the PATH: npm must not run on a Node that it is about to replace. */
function environment() {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== programs);
  return { ...process.env, PATH: path.join(delimiter) };
}

function stop(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
