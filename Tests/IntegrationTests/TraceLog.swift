// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Redlock
import Synchronization

/// All that the clients of the tests log at trace level, and their events, in the file that REDLOCK_TEST_TRACE names.
///
/// When the tests are done, it is searched for owner tokens and passwords.
struct TraceLog: LogHandler {
    private static let file: Mutex<FileHandle?> = {
        guard let path = ProcessInfo.processInfo.environment["REDLOCK_TEST_TRACE"] else { return Mutex(nil) }
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        let file = FileHandle(forWritingAtPath: path)
        _ = try? file?.seekToEnd()
        return Mutex(file)
    }()

    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        Self.write("\(event.level) \(event.message) \(all)")
    }

    static func write(_ line: String) {
        file.withLock { file in try? file?.write(contentsOf: Data((line + "\n").utf8)) }
    }
}

extension Logger {
    /// Writes everything into the trace of the tests.
    static let tracing: Logger = {
        var logger = Logger(label: "redlock", factory: { _ in TraceLog() })
        logger.logLevel = .trace
        return logger
    }()
}

extension LockClient {
    /// Writes the events into the trace of the tests as well, until the client is shut down.
    func tracingEvents() -> Self {
        let events = self.events
        // Unstructured: it ends with the client.
        Task { for await event in events { TraceLog.write("event \(event)") } }
        return self
    }
}
