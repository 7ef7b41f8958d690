// SPDX-License-Identifier: Apache-2.0

import Foundation

extension BenchmarkReport.Machine {
    /// The machine that this process runs on.
    static func ofThisProcess() async -> BenchmarkReport.Machine {
        BenchmarkReport.Machine(
            processor: await processor(),
            coreCount: ProcessInfo.processInfo.activeProcessorCount,
            system: ProcessInfo.processInfo.operatingSystemVersionString,
            redisVersion: await output(of: "redis-server", ["--version"]).map(version(inRedis:)) ?? unknown,
            swiftVersion: await output(of: "swift", ["--version"]).map(version(inSwift:)) ?? unknown
        )
    }

    private static let unknown = "unknown"

    private static func processor() async -> String {
        #if os(Linux)
            let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
            return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? unknown
        #else
            return await output(of: "sysctl", ["-n", "machdep.cpu.brand_string"]) ?? unknown
        #endif
    }

    /// "Redis server v=7.0.15 sha=…" says 7.0.15.
    private static func version(inRedis text: String) -> String {
        text.split(separator: " ").first { $0.hasPrefix("v=") }.map { String($0.dropFirst(2)) } ?? unknown
    }

    /// "Swift version 6.3.1 (…)", with whatever stands before it, says 6.3.1.
    private static func version(inSwift text: String) -> String {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard let place = words.firstIndex(of: "version"), place + 1 < words.count else { return unknown }
        return String(words[place + 1])
    }

    private static func output(of name: String, _ arguments: [String]) async -> String? {
        guard let executable = ChildProcess.inPath(name) else { return nil }
        let result = try? await ChildProcess(executable: executable, arguments: arguments).run()
        return result?.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
