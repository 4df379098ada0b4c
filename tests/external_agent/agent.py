"""An ACP agent for the tests: what it does is its first argument, what it looks for is the second, written backwards."""
import json, os, sys, urllib.error, urllib.request

MODE, SECRET = sys.argv[1], sys.argv[2][::-1]
n_requests = 0


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def ask(method, params):
    global n_requests
    n_requests += 1
    send({"id": f"ours-{n_requests}", "method": method, "params": params})
    return receive()


def update(session, kind, **fields):
    send({"method": "session/update", "params": {"sessionId": session, "update": {"sessionUpdate": kind, **fields}}})


def say(session, text):
    update(session, "agent_message_chunk", content={"type": "text", "text": text})


def model(path="/v1/responses", method="POST", text="hello"):
    body = json.dumps({"model": "dear", "stream": True, "input": [{"role": "user", "content": text}]}).encode()
    headers = {"Authorization": "Bearer from-inside", "Cookie": "a=b", "X-Api-Key": "from-inside", "Content-Type": "application/json"}
    request = urllib.request.Request("http://127.0.0.1:8377" + path, body if method == "POST" else None, headers, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def places():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            yield f"/proc/{pid}/{name}"
    for top in (os.environ["HOME"], "/tmp", "/run", "/etc", "/workspace", "/opt", "/dev/shm"):
        for folder, _, names in os.walk(top):
            for name in names:
                yield os.path.join(folder, name)


def leaks():
    found = []
    for path in places():
        try:
            with open(path, "rb") as file:
                if SECRET.encode() in file.read(1 << 22):
                    found.append(path)
        except OSError:
            pass
    return found


def fix(session):
    status, reply = model()
    refused = ask("fs/read_text_file", {"sessionId": session, "path": "/etc/passwd"})["error"]["code"]
    options = [{"optionId": "no", "kind": "reject_once"}, {"optionId": "yes", "kind": "allow_once"}]
    allowed = ask("session/request_permission", {"sessionId": session, "toolCall": {}, "options": options})
    say(session, "Let me see.")
    update(session, "tool_call", toolCallId="1", title="Edit calc.py")
    if allowed["result"]["outcome"].get("optionId") == "yes":
        with open("/workspace/calc.py", "w") as file:
            file.write("def mean(v):\n    return sum(v) / len(v)\n")
    others = [model("/v1/files")[0], model("/v1/responses", "GET")[0], model("/v1/responses/../files")[0]]
    say(session, f"{status} {'response.completed' in reply} {refused} {leaks()} ")
    say(session, f"{others}")
    return "end_turn"


def spend(session):
    while True:
        status, reply = model()
        if status != 200:
            say(session, f"{status} {json.loads(reply)['error']['message']}")
            return "end_turn"


def prompt(session, text):
    if MODE == "fix":
        return fix(session)
    if MODE == "spend":
        return spend(session)
    if MODE == "once":
        status, _ = model()
        say(session, f"{status}")
        return "end_turn"
    if MODE == "again":
        say(session, "again" if "MISSING" in text else "first")
        return "end_turn"
    if MODE == "quit":
        print("something broke", file=sys.stderr)
        sys.exit(3)
    return MODE


if MODE == "garbage":
    print("npm WARN deprecated")
elif MODE == "exit":
    print("no such configuration", file=sys.stderr)
    sys.exit(4)
while True:
    message = receive()
    if MODE == "hang":
        continue
    if message["method"] == "initialize":
        files = message["params"]["clientCapabilities"]["fs"]
        assert not files["readTextFile"] and not files["writeTextFile"]
        send({"id": message["id"], "result": {"protocolVersion": 7 if MODE == "future" else 1, "agentCapabilities": {}}})
    elif message["method"] == "session/new":
        assert message["params"] == {"cwd": "/workspace", "mcpServers": []} and os.getcwd() == "/workspace"
        send({"id": message["id"], "result": {"sessionId": "s"}})
    elif message["method"] == "session/prompt":
        text = message["params"]["prompt"][0]["text"]
        send({"id": message["id"], "result": {"stopReason": prompt("s", text)}})
