// SPDX-License-Identifier: Apache-2.0

/// Everything that one run of the benchmarks found; what `--json` prints and the HTML report shows.
struct BenchmarkReport: Codable, Sendable {
    var machine: Machine
    /// When it began, in ISO 8601.
    var began: String
    var rounds: Int
    var rows: [Row]
    var instructions: [InstructionCount]
    var targets: [TargetResult]

    /// What it ran on.
    struct Machine: Codable, Sendable {
        var processor: String
        var coreCount: Int
        var system: String
        var redisVersion: String
        var swiftVersion: String
    }

    /// One workload with one subject and one size, measured in every round.
    struct Row: Codable, Sendable {
        var workload: Workload
        var subject: Subject
        var nodeCount: Int
        var taskCount: Int
        var processCount: Int
        /// Whether the nodes keep their data as we recommend: AOF, written to disk before each answer.
        var isDurable: Bool
        /// How long each holder keeps the lock, where several compete for it.
        var holdMicroseconds: Int?
        /// The TTL of the leases, where it matters.
        var timeToLiveSeconds: Int?
        var rounds: [Measurement]
        /// Commands that one node was sent, per second; of each round, nil where nobody counted.
        var commandsPerNodeAndSecond: [Double]
        /// Commands that one node was sent for one acquisition with its release; of each round.
        var commandsPerNodeAndAcquisition: [Double]

        /// The median over all rounds, of what is asked for.
        func median(_ value: (Measurement) -> Double?) -> Double? {
            rounds.compactMap(value).median
        }
    }

    enum Workload: String, Codable, Sendable, CaseIterable {
        /// One task, names of its own.
        case uncontended = "W1"
        /// Many tasks, each with names of its own.
        case concurrent = "W2"
        /// One name, held for 1 ms, or not at all.
        case contended = "W3"
        /// Many leases that are renewed.
        case renewing = "W4"
        /// Many who wait for one name.
        case waiting = "W5"
    }

    enum Subject: String, Codable, Sendable, CaseIterable {
        /// The standard profile: fencing, admission.
        case standard
        /// The compatible profile: SET NX PX and compare-and-delete.
        case compatible
        /// The limit: a C program that sends SET NX PX and compare-and-delete.
        case limitPlain = "limit"
        /// The limit with the scripts of the standard profile.
        case limitStandard = "limit, our scripts"
        /// The limit through the contexts of hiredis.
        case limitHiredis = "limit, hiredis"
        /// The standard profile through `withLock` with an empty body.
        case withLockStandard = "standard, withLock"
        /// The compatible profile through `withLock` with an empty body.
        case withLockCompatible = "compatible, withLock"
        /// The standard profile, with the tasks on the event loop of the client.
        case standardOnLoop = "standard, on the loop"
        /// The compatible profile, with the tasks on the event loop of the client.
        case compatibleOnLoop = "compatible, on the loop"

        var isOnLoop: Bool { self == .standardOnLoop || self == .compatibleOnLoop }

        /// Whether it is a client of the compatible profile.
        var isCompatible: Bool {
            switch self {
            case .compatible, .compatibleOnLoop, .withLockCompatible: true
            case .standard, .standardOnLoop, .withLockStandard, .limitPlain, .limitStandard, .limitHiredis: false
            }
        }
    }

    /// Instructions in user space of one uncontended cycle, without those of start and end.
    struct InstructionCount: Codable, Sendable {
        var subject: Subject
        var nodeCount: Int
        /// What counted: perf or callgrind.
        var counter: String
        var instructionsPerCycle: Double
    }

    struct TargetResult: Codable, Sendable {
        /// What is asked for, for people to read.
        var title: String
        var measured: Double?
        var limit: Double
        /// Whether the measured value is to be at least the limit; otherwise at most.
        var isFloor: Bool
        /// Whether it must never be missed, by chance or not.
        var isExact = false
        var unit: String
        var isMet: Bool { measured.map { isFloor ? $0 >= limit : $0 <= limit } ?? false }
    }
}

extension [Double] {
    /// The middle one, or the mean of the two in the middle; nil if there is none.
    var median: Double? {
        guard !isEmpty else { return nil }
        let sorted = self.sorted()
        return sorted.count % 2 == 1
            ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
    }
}
