// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Foundation
    import LocalRedis
    import Redlock
    import TestSupport
    import Testing

    /// A holder that is stopped past the end of its lease, and then writes as if nothing had happened.
    @Suite(.serialized)
    struct PausedHolderTests {
        @Test
        func storeThatComparesTokensRefusesTheLateWrite() async throws {
            let corrupted = try await corruptedStores(comparesTokens: true, rounds: 10, names: 10)
            #expect(corrupted == 0)
        }

        @Test
        func storeThatDoesNotCompareIsCorrupted() async throws {
            let corrupted = try await corruptedStores(comparesTokens: false, rounds: 1, names: 5)
            #expect(corrupted == 5)
        }

        /// How many of `rounds * names` stores end with what the first holder wrote.
        private func corruptedStores(comparesTokens: Bool, rounds: Int, names: Int) async throws -> Int {
            try await withLocalRedis(nodes: 3) { redis in
                try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
                let store = try Store(comparesTokens: comparesTokens)
                defer { store.remove() }
                var corrupted = 0
                for round in 0..<rounds {
                    corrupted += try await withThrowingTaskGroup(of: Bool.self) { group in
                        for name in 0..<names {
                            group.addTask { try await isCorrupted("\(round)-\(name)", store, redis.urls) }
                        }
                        return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                    }
                }
                return corrupted
            }
        }

        private func isCorrupted(_ name: String, _ store: Store, _ nodes: [String]) async throws -> Bool {
            let first = try start(
                name,
                store,
                nodes,
                "touch $2/ready-$1; while [ ! -e $2/go-$1 ]; do sleep 0.02; done; exec $2/write $2/$1 first"
            )
            try await eventually { store.has("ready-\(name)") }
            // All of it: redlock, its guardian, and the command.
            let stopped = ProcessTree.descendants(of: first.processIdentifier)
            for process in [first.processIdentifier] + stopped { kill(process, SIGSTOP) }
            let second = try start(name, store, nodes, "exec $2/write $2/$1 second")
            try await eventually { !second.isRunning }
            #expect(second.terminationStatus == 0)
            store.create("go-\(name)")
            // The command alone, so that nobody is there to end it before it writes.
            let guardians = stopped.filter { ProcessTree.name(of: $0) == "redlock" }
            for process in stopped where !guardians.contains(process) { kill(process, SIGCONT) }
            try await eventually { store.has("\(name).tried-first") }
            for process in guardians + [first.processIdentifier] { kill(process, SIGCONT) }
            try await eventually { !first.isRunning }
            return store.content(of: name) == "first"
        }

        private func start(_ name: String, _ store: Store, _ nodes: [String], _ command: String) throws -> Process {
            let process = Process()
            process.executableURL = URL(filePath: try redlockExecutable())
            process.arguments = [
                "run", "-q", "--ttl", "1s", "--wait", "20", name, "--", "sh", "-c", command, "sh", name,
                store.directory.path,
            ]
            process.environment = ProcessInfo.processInfo.environment.merging(
                ["REDLOCK_REDIS": nodes.joined(separator: ",")]
            ) { $1 }
            process.standardInput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            return process
        }
    }

    /// A directory in which each file is a value, and a program that writes one of them under a lock of its own.
    private struct Store: Sendable {
        let directory: URL

        init(comparesTokens: Bool) throws {
            directory = FileManager.default.temporaryDirectory.appending(path: "redlock-store-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            let script = """
                #!/bin/sh
                exec 9>"$1.lock"
                flock 9
                highest=$(cat "$1.token" 2>/dev/null || echo 0)
                if \(comparesTokens ? "[ \"$REDLOCK_FENCING_TOKEN\" -ge \"$highest\" ]" : "true"); then
                    echo "$REDLOCK_FENCING_TOKEN" >"$1.token"
                    printf %s "$2" >"$1"
                fi
                touch "$1.tried-$2"
                """
            try script.write(to: directory.appending(path: "write"), atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755],
                ofItemAtPath: directory.appending(path: "write").path
            )
        }

        func has(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: directory.appending(path: name).path)
        }

        func create(_ name: String) {
            _ = FileManager.default.createFile(atPath: directory.appending(path: name).path, contents: nil)
        }

        func content(of name: String) -> String? {
            try? String(contentsOf: directory.appending(path: name), encoding: .utf8)
        }

        func remove() {
            try? FileManager.default.removeItem(at: directory)
        }
    }

    /// Who descends from whom, as the system sees it.
    private enum ProcessTree {
        static func name(of process: Int32) -> String? {
            let text = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)
            return text?.trimmingCharacters(in: .newlines)
        }

        static func descendants(of process: Int32) -> [Int32] {
            let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            var children: [Int32: [Int32]] = [:]
            for number in files.compactMap({ Int32($0) }) {
                guard let text = try? String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8),
                    // The name, in parentheses, may have any characters.
                    let name = text.lastIndex(of: ")")
                else { continue }
                let fields = text[name...].split(separator: " ")
                if fields.count > 2, let parent = Int32(fields[2]) { children[parent, default: []].append(number) }
            }
            var found: [Int32] = []
            var next = children[process] ?? []
            while let child = next.popLast() {
                found.append(child)
                next += children[child] ?? []
            }
            return found
        }
    }
#endif
