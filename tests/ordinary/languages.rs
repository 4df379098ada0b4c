//! What languages bring: their test runners, servers, threads and package layouts, offline.

use super::{Suite, Tool};

pub(super) const SUITES: &[Suite] = &[
    Suite {
        name: "Python: processes, semaphores and queues",
        tool: Tool::Optional("python3"),
        files: &[(
            "work.py",
            "import multiprocessing as mp\n\
             def square(n):\n    return n * n\n\
             if __name__ == '__main__':\n\
             \x20   for method in ('fork', 'spawn', 'forkserver'):\n\
             \x20       context = mp.get_context(method)\n\
             \x20       with context.Pool(4) as pool:\n            assert pool.map(square, range(20))[-1] == 361\n\
             \x20       lock, value = context.Lock(), context.Value('i', 1)\n\
             \x20       with lock:\n            value.value += 1\n\
             \x20   from multiprocessing import shared_memory\n\
             \x20   block = shared_memory.SharedMemory(create=True, size=64)\n\
             \x20   block.close()\n    block.unlink()\n",
        )],
        script: "python3 work.py",
    },
    Suite {
        name: "Python: a terminal, a server and subprocesses",
        tool: Tool::Optional("python3"),
        files: &[(
            "work.py",
            "import http.server, os, pty, subprocess, threading, urllib.request, asyncio, sqlite3, ssl, tempfile\n\
             server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n\
             threading.Thread(target=server.serve_forever, daemon=True).start()\n\
             url = 'http://127.0.0.1:%d/work.py' % server.server_address[1]\n\
             assert b'http.server' in urllib.request.urlopen(url).read()\n\
             server.shutdown()\n\
             assert pty.spawn(['sh', '-c', 'test -t 1 && test -t 0']) == 0\n\
             assert subprocess.run(['sort'], input=b'b\\na\\n', capture_output=True).stdout == b'a\\nb\\n'\n\
             async def main():\n\
             \x20   process = await asyncio.create_subprocess_exec('true')\n    assert await process.wait() == 0\n\
             asyncio.run(main())\n\
             sqlite3.connect('data.db').execute('create table t (x)')\n",
        )],
        script: "python3 work.py",
    },
    Suite {
        name: "Python: a virtual environment and unittest",
        tool: Tool::Optional("python3"),
        files: &[(
            "test_sum.py",
            "import unittest\nclass Sum(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(sum([1, 2]), 3)\n",
        )],
        script: "python3 -m venv --without-pip .venv; . .venv/bin/activate; test \"$VIRTUAL_ENV\" = \"$PWD/.venv\"
            python -m unittest -q; python -c 'import os, sys; assert sys.prefix == os.getcwd() + \"/.venv\", sys.prefix'",
    },
    Suite {
        name: "Node: a worker, a server on the loopback, child processes",
        tool: Tool::Optional("node"),
        files: &[(
            "work.js",
            "const { Worker, isMainThread, parentPort } = require('worker_threads');\n\
             if (!isMainThread) { parentPort.postMessage(42); } else {\n\
             new Worker(__filename).on('message', (n) => {\n\
             \x20 const server = require('http').createServer((_, answer) => answer.end(String(n)));\n\
             \x20 server.listen(0, '127.0.0.1', () => fetch('http://127.0.0.1:' + server.address().port).then((r) => r.text()).then((text) => {\n\
             \x20   require('child_process').execFileSync('true');\n\
             \x20   require('fs').watch('.').close();\n\
             \x20   server.close(); process.exit(text === '42' ? 0 : 1); }));\n\
             }); }\n",
        )],
        script: "node work.js",
    },
    Suite {
        name: "Node: its own test runner",
        tool: Tool::Optional("node"),
        files: &[("sum.test.js", "require('node:test')('sum', () => require('node:assert').strictEqual(1 + 2, 3));\n")],
        script: "node --test",
    },
    Suite {
        name: "Rust: cargo test, offline",
        tool: Tool::Optional("cargo"),
        files: &[
            ("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
            (
                "src/lib.rs",
                "#[test]\nfn threads() { assert_eq!(std::thread::spawn(|| 42).join().unwrap(), 42); }\n\
                 #[test]\nfn loopback() { let l = std::net::TcpListener::bind(\"127.0.0.1:0\").unwrap();\n\
                 std::net::TcpStream::connect(l.local_addr().unwrap()).unwrap(); }\n",
            ),
        ],
        script: "cargo test --offline -q",
    },
    Suite {
        name: "Java: compile and run with threads",
        tool: Tool::Optional("java"),
        files: &[(
            "Work.java",
            "public class Work { public static void main(String[] a) throws Exception {\n\
             int[] n = {0}; Thread t = new Thread(() -> n[0] = 42); t.start(); t.join();\n\
             try (var s = new java.net.ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress());\n\
             var c = new java.net.Socket(s.getInetAddress(), s.getLocalPort())) { System.exit(n[0] - 42); } } }\n",
        )],
        script: "if command -v javac > /dev/null; then javac Work.java; java Work; else java -version; fi",
    },
    Suite {
        name: "Go: go test",
        tool: Tool::Optional("go"),
        files: &[
            ("go.mod", "module tiny\n\ngo 1.18\n"),
            ("tiny_test.go", "package tiny\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) { if 1+2 != 3 { t.Fail() } }\n"),
        ],
        script: "go test ./...",
    },
];
