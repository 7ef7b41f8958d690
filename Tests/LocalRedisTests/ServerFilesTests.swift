// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import LocalRedis

@Suite struct ServerFilesTests {
    @Test func valuesAreQuotedForTheConfigurationFile() {
        #expect(ServerFiles.quoted("/tmp/a b") == #""/tmp/a b""#)
        #expect(ServerFiles.quoted(#"a"b\c"#) == #""a\"b\\c""#)
        #expect(ServerFiles.quoted("line\nü") == #""line\x0a\xc3\xbc""#)
    }

    @Test func logTailHidesLinesThatMayHoldASecret() {
        let log = "one\n>>> 'requirepass \"x'\n>>> 'no-such-option 1'\n"
        let tail = ServerFiles.tail(of: log)
        #expect(!tail.contains("requirepass"))
        #expect(tail.contains("no-such-option"))
        #expect(ServerFiles.tail(of: "1\n2\n3\n", lineCount: 2) == "  2\n  3")
    }

    @Test func filesArePrivateFromTheFirstMoment() async throws {
        try await withTemporaryDirectory { directory in
            try writePrivately(Data("first".utf8), to: directory + "/file")
            try writePrivately(Data("second".utf8), to: directory + "/file")
            #expect(try mode(of: directory + "/file") == 0o600)
            #expect(try String(contentsOfFile: directory + "/file", encoding: .utf8) == "second")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["file"])
            #expect(throws: LocalRedisError.self) { try writePrivately(Data(), to: "/nonexistent/file") }
        }
    }
}
