// SPDX-License-Identifier: Apache-2.0

/// The times of an election; the defaults are those of the Kubernetes client for Go.
///
/// All candidates of one election should agree on them. They must stand in this order, which is checked when an elector is
/// made: `leaseDuration` > `renewDeadline` > `retryPeriod` with its jitter.
public struct ElectionConfiguration: Hashable, Sendable {
    /// For how long others wait after the last renewal of a leader that died; 15 s by default.
    ///
    /// No longer than the maximum TTL of the client.
    public var leaseDuration: Duration = .seconds(15)

    /// How long a leader goes on leading without a renewal, counted from the start of the last one that succeeded; 10 s by
    /// default.
    ///
    /// By then, less the drift that the client allows clocks, the body is cancelled. What is left of the lease, 5 s by
    /// default, is the time that the body has to stop. At least half of the lease duration.
    public var renewDeadline: Duration = .seconds(10)

    /// How long a candidate waits before it campaigns again, where waiting for the end of another's term is not possible:
    /// after an outage of the nodes, and after a term of its own; 2 s by default.
    ///
    /// Up to a fifth is added at random, so that candidates do not come all at once.
    public var retryPeriod: Duration = .seconds(2)

    /// Whether the process is ended (`abort`) if what leads is still at work when its term is about to end; false by default.
    ///
    /// A last resort, for leaders whose late work no store refuses: a fiftieth of the lease duration before somebody else can
    /// lead, this process is gone. It cannot help a process that stands still at that time.
    public var abortOnOverrun = false

    /// The defaults.
    public init() {}

    /// How much longer than the retry period a pause may be.
    static let jitterFactor = 1.2

    func validate() throws(ElectionError) {
        func require(_ condition: Bool, _ message: String) throws(ElectionError) {
            guard condition else { throw ElectionError(.invalidConfiguration, message) }
        }
        try require(retryPeriod > .zero, "the retry period must be longer than 0")
        try require(
            leaseDuration > renewDeadline,
            "the lease duration (\(leaseDuration)) must be longer than the renew deadline (\(renewDeadline)): "
                + "what lies between is the time that a leader has to stop"
        )
        try require(
            renewDeadline > retryPeriod * Self.jitterFactor,
            "the renew deadline (\(renewDeadline)) must be longer than the retry period with its jitter "
                + "(\(retryPeriod) x \(Self.jitterFactor))"
        )
        try require(
            renewDeadline * 2 >= leaseDuration,
            "the renew deadline (\(renewDeadline)) must be at least half of the lease duration (\(leaseDuration))"
        )
    }

    /// The pause before the next campaign.
    ///
    /// - Parameter chance: from 0 to 1.
    func pause(_ chance: Double) -> Duration {
        retryPeriod * (1 + (Self.jitterFactor - 1) * chance)
    }

    /// How often a leader looks whether it is asked to hand over.
    var requestInterval: Duration { min(retryPeriod / 2, .seconds(1)) }
}
