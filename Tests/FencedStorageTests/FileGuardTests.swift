// SPDX-License-Identifier: Apache-2.0

import FencedStorage
import Foundation
import Redlock
import RedlockTesting
import Testing

/// Files whose contents nobody replaces who came too late.
struct FileGuardTests {
    @Test
    func keepsWhatStoresPromise() async throws {
        try await withFolder { folder in
            let path = folder.path + "/log"
            let store = FileGuard(path: path)
            try await FencedStoreConformance(
                store,
                appending: { entry in { @Sendable contents in (contents ?? []) + Array("\(entry.text)\n".utf8) } },
                reading: { entries(at: path) },
                failing: { _ in throw CocoaError(.fileWriteUnknown) }
            )
            .check(writeCount: 10_000)
        }
    }

    @Test("Two guards of one file, as two processes have them, see each other's tokens")
    func severalGuards() async throws {
        try await withFolder { folder in
            let path = folder.path + "/shared"
            try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: path)
            let guards = (0..<2).map { _ in FileGuard(path: path, lockTimeout: .seconds(60)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let entry = FencedStoreEntry(token: FencingToken(rawValue: 5), number: number)
                        try await guards[number % 2].apply(
                            { ($0 ?? []) + Array("\(entry.text)\n".utf8) },
                            under: ReceivedGrant("shared", entry.token)
                        )
                    }
                }
                try await group.waitForAll()
            }
            #expect(Set(entries(at: path).map(\.number)) == Set(0..<200))
            // Behind a link is the same file, with the same tokens.
            await #expect(throws: StaleGrantError.self) {
                try await FileGuard(path: folder.path + "/link")
                    .write(ReceivedGrant("shared", FencingToken(rawValue: 4)), "late".utf8)
            }
        }
    }

    @Test
    func permissionsStay() async throws {
        try await withFolder { folder in
            let path = folder.path + "/secret"
            #expect(FileManager.default.createFile(atPath: path, contents: Data("old".utf8)))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
            try await FileGuard(path: path).write(ReceivedGrant("secret", FencingToken(rawValue: 1)), "new".utf8)
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "new")
        }
    }

    @Test("A link that leads to nothing yet, or through other folders, leads to the same tokens")
    func linksBeforeTheFile() async throws {
        try await withFolder { folder in
            let files = FileManager.default
            try files.createDirectory(atPath: folder.path + "/real", withIntermediateDirectories: true)
            try files.createSymbolicLink(atPath: folder.path + "/folder", withDestinationPath: folder.path + "/real")
            try files.createSymbolicLink(atPath: folder.path + "/current", withDestinationPath: "folder/data")
            try await FileGuard(path: folder.path + "/current")
                .write(ReceivedGrant("data", FencingToken(rawValue: 5)), "first".utf8)
            #expect(try String(contentsOfFile: folder.path + "/real/data", encoding: .utf8) == "first")
            #expect(try files.destinationOfSymbolicLink(atPath: folder.path + "/current") == "folder/data")
            for path in ["/real/data", "/folder/data", "/current"] {
                await #expect(throws: StaleGrantError.self) {
                    try await FileGuard(path: folder.path + path)
                        .write(ReceivedGrant("data", FencingToken(rawValue: 4)), "late".utf8)
                }
            }
        }
    }

    @Test("What a crash left is replaced, and nobody sees more of the new contents than of the old")
    func leftovers() async throws {
        try await withFolder { folder in
            let path = folder.path + "/data"
            let own = folder.path + "/data.new"
            try Data("mine".utf8).write(to: URL(filePath: own))
            let victim = folder.path + "/victim"
            try Data("keep".utf8).write(to: URL(filePath: victim))
            try FileManager.default.linkItem(atPath: victim, toPath: path + ".fence-new")
            try await FileGuard(path: path).write(ReceivedGrant("data", FencingToken(rawValue: 5)), "new".utf8)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "new")
            #expect(try String(contentsOfFile: own, encoding: .utf8) == "mine")
            #expect(try String(contentsOfFile: victim, encoding: .utf8) == "keep")
            #expect(!FileManager.default.fileExists(atPath: path + ".fence-new"))
        }
    }

    @Test
    func cancelledTasksDoNotWrite() async throws {
        try await withFolder { folder in
            let path = folder.path + "/data"
            let writing = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                try await FileGuard(path: path).write(ReceivedGrant("data", FencingToken(rawValue: 5)), "new".utf8)
            }
            await #expect(throws: CancellationError.self) { try await writing.value }
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("A file of tokens that is none any more lets nobody write")
    func damagedTokens() async throws {
        try await withFolder { folder in
            let path = folder.path + "/data"
            let store = FileGuard(path: path)
            try await store.write(ReceivedGrant("data", FencingToken(rawValue: 9)), "first".utf8)
            try Data("9 da".utf8).write(to: URL(filePath: path + ".fence"))
            let error = await #expect(throws: FileGuardError.self) {
                try await store.write(ReceivedGrant("data", FencingToken(rawValue: 10)), "second".utf8)
            }
            #expect(error?.path.hasSuffix("data.fence") == true)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "first")
        }
    }

    @Test
    func refusalsAreExplained() async throws {
        let error = await #expect(throws: FileGuardError.self) {
            try await FileGuard(path: "/nowhere/at/all")
                .write(ReceivedGrant("a", FencingToken(rawValue: 1)), "b".utf8)
        }
        #expect(error?.description == "/nowhere/at: cannot find it: No such file or directory")
    }

    @Test("Whoever waits for the file gives up in time, or when its task is cancelled")
    func waitingEnds() async throws {
        try await withFolder { folder in
            let path = folder.path + "/held"
            let holder = FileGuard(path: path)
            let isWriting = AsyncStream.makeStream(of: Void.self)
            let mayEnd = DispatchSemaphore(value: 0)
            async let held: Void = holder.apply(
                { _ in
                    isWriting.continuation.yield()
                    mayEnd.wait()
                    return []
                },
                under: ReceivedGrant("held", FencingToken(rawValue: 1))
            )
            for await _ in isWriting.stream { break }
            let grant = ReceivedGrant("held", FencingToken(rawValue: 2))
            await #expect(throws: FileGuardError.self) {
                try await FileGuard(path: path, lockTimeout: .milliseconds(50)).write(grant, "x".utf8)
            }
            let waiting = Task { try await FileGuard(path: path).write(grant, "x".utf8) }
            try await Task.sleep(for: .milliseconds(50))
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            mayEnd.signal()
            try await held
        }
    }
}

/// The entries of a log that is a file.
func entries(at path: String) -> [FencedStoreEntry] {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap { FencedStoreEntry(String($0)) }
}

/// Runs the body with a folder that is removed afterwards.
@discardableResult
func withFolder<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "redlock-guards-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}
