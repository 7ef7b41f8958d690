// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The tests run the command so often that what each run left behind would add up.
@Suite(.serialized)
struct ExecutableTests {
    @Test
    func runsLeaveNoDescriptorBehind() async throws {
        // Whatever is made once is there after the first.
        _ = try await Executable.run(["--version"])
        let before = try openDescriptors()
        for _ in 0..<10 { _ = try await Executable.run(["--version"]) }
        #expect(try openDescriptors() < before + 10)
    }

    private func openDescriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/dev/fd").count
    }
}
