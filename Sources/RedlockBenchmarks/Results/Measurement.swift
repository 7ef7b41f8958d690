// SPDX-License-Identifier: Apache-2.0

/// What one process measured in one run of a workload; it prints this as one line of JSON.
struct Measurement: Codable, Sendable {
    /// How long it measured, in seconds.
    var seconds: Double
    /// How often a lock was acquired and released again; 0 where the workload holds.
    var cycles: Int = 0
    /// How long acquiring took; nil where the workload does not measure it.
    var acquire: Latency?
    /// How long it took from the end of one body to the beginning of the next, under one name.
    var gap: Latency?
    /// Processor time of the process while it measured, user and system, in seconds.
    var processorSeconds: Double = 0
    /// The most memory that the process had, in bytes.
    var peakMemoryBytes: Int = 0
    /// The memory that those who wait took, in bytes; nil where nobody waits.
    var waitingMemoryBytes: Int?
    /// The memory that as many tasks took which were parked on a bare continuation, in another process.
    var bareMemoryBytes: Int?
    /// What the nodes were asked meanwhile; nil where nobody counted.
    var traffic: Traffic?
    /// How often the process wrote, to whatever; nil where the system does not count it.
    var writeCalls: Int?
    /// When each holder had the one lock; only between a process and the coordinator, which merges those of several.
    var holds: [Hold]?
    /// How often each of those who compete for one name had it; empty without contention.
    var acquisitionsOfEach: [Int] = []
    /// How many leases were lost.
    var lostLeases: Int = 0
    /// How often two had one lock at once.
    var overlaps: Int = 0
}

/// Percentiles of what a histogram holds, in microseconds.
struct Latency: Codable, Sendable {
    var median: Double
    var p90: Double
    var p99: Double
    var p999: Double
    var longest: Double
    /// The distribution for a plot: from 0 upwards, which part of all was at most that long.
    var distribution: [Point] = []

    struct Point: Codable, Sendable {
        /// From 0 to 1.
        var part: Double
        var microseconds: Double
    }
}

/// What one node was asked while a process measured: the mean of all nodes.
struct Traffic: Codable, Sendable, Equatable {
    /// Commands that clients sent.
    var commands: Double
    /// Commands that were carried out: those that clients sent, and those that scripts called.
    var calls: Double
    /// How often the node read from a connection: once for each write that a client made, unless it is longer than the
    /// 16 KiB that a node reads at a time.
    var reads: Double
}
