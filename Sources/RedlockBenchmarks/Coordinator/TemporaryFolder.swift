// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A new folder of our own, for files that nobody needs afterwards.
struct TemporaryFolder {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "redlock-benchmarks-\(UUID().uuidString)"
        )
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    func url(_ name: String) -> URL { folder.appendingPathComponent(name) }

    func remove() {
        try? FileManager.default.removeItem(at: folder)
    }
}
