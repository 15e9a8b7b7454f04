/**
 * `npm run backend:tensorflow`: gets the tensorflow backend on Linux, with the ordinary npm, pip and C++ compiler.
 * tfjs-node's own install script fetches a libtensorflow of 2022; its binding is compiled here against the
 * libtensorflow of a current PyPI wheel instead (300 MB to download, 1.3 GB on disk, more with CUDA).
 * All of it lies in node_modules, and what is there already is not done again.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageVersion = '4.22.0';
const wheelVersion = '2.21.0';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const packageFolder = join(modules, '@tensorflow', 'tfjs-node');
const venv = join(modules, '.cache', `tensorflow-${wheelVersion}`);
const { CXX = 'g++', PYTHON = 'python3' } = process.env;

if (!loadedVersion()) {
  if (process.platform !== 'linux') {
    fail(`this recipe is for Linux; elsewhere: npm install --no-save @tensorflow/tfjs-node@${packageVersion}`);
  }
  installPackage();
  installWheel();
  compileBinding();
}
const version = loadedVersion();
if (!version) fail('the binding was built but cannot be loaded; `mixtune doctor` says why');
say(`ready: TensorFlow ${version}; use it with --backend tensorflow`);

/**
 * The version of TensorFlow that tfjs-node or tfjs-node-gpu loads here, from a process of its own; undefined where it
 * does not.
 */
function loadedVersion() {
  const versionFrom = (name) => {
    const script = `console.log(require('${name}').backend().binding.TF_Version)`;
    const { status, stdout } = spawnSync(process.execPath, ['--eval', script], { cwd: root, encoding: 'utf8' });
    return status === 0 ? stdout.trim().split('\n').at(-1) : undefined;
  };
  return versionFrom('@tensorflow/tfjs-node-gpu') ?? versionFrom('@tensorflow/tfjs-node');
}

function installPackage() {
  const manifest = join(packageFolder, 'package.json');
  if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === packageVersion) return;
  say(`installing @tensorflow/tfjs-node ${packageVersion} without its install script (npm)`);
  // As an optional peer it is not installed; as a production dependency that is not saved it is.
  const flags = ['--save-prod', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  run('npm', ['install', ...flags, `@tensorflow/tfjs-node@${packageVersion}`]);
}

function installWheel() {
  if (libraryFolder()) return;
  const wheel = wheelFor();
  say(`installing ${wheel.join(' ')} into ${venv} (pip)`);
  run(PYTHON, ['-m', 'venv', venv]);
  run(join(venv, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...wheel]);
}

/** What pip is asked for. Without CUDA only the library is needed, none of what the Python package depends on. */
function wheelFor() {
  if (spawnSync('nvidia-smi').status === 0) return [`tensorflow[and-cuda]==${wheelVersion}`];
  return ['--no-deps', `${process.arch === 'x64' ? 'tensorflow-cpu' : 'tensorflow'}==${wheelVersion}`];
}

/** The folder of libtensorflow_cc and of its headers, once the wheel is installed. */
function libraryFolder() {
  const lib = join(venv, 'lib');
  const pythons = existsSync(lib) ? readdirSync(lib) : [];
  return pythons
    .map((python) => join(lib, python, 'site-packages', 'tensorflow'))
    .find((folder) => existsSync(join(folder, 'libtensorflow_cc.so.2')));
}

function compileBinding() {
  const tensorflow = libraryFolder();
  if (!tensorflow) fail(`pip left no libtensorflow_cc.so.2 under ${venv}`);
  const output = join(packageFolder, 'lib', 'napi-v8', 'tfjs_binding.node');
  const unfinished = `${output}.${process.pid}`;
  const include = [join(modules, 'node-api-headers', 'include'), packageFolder, join(tensorflow, 'include')];
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(packageFolder, 'binding', name));
  say(`building the binding (${CXX})`);
  mkdirSync(dirname(output), { recursive: true });
  run(CXX, [
    ...['-std=c++17', '-O2', '-shared', '-fPIC', '-DNAPI_VERSION=8'],
    ...include.map((folder) => `-I${folder}`),
    ...sources,
    ...[`-L${tensorflow}`, '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2', `-Wl,-rpath,${tensorflow}`],
    ...['-o', unfinished],
  ]);
  renameSync(unfinished, output);
}

function run(command, args) {
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  } catch (error) {
    fail(`${command} ${args.slice(0, 3).join(' ')} … failed: ${error.message.split('\n')[0]}`);
  }
}

function say(message) {
  process.stderr.write(`mixtune: ${message}\n`);
}

function fail(message) {
  say(message);
  process.exit(1);
}
