// SPDX-License-Identifier: Apache-2.0

import Logging
import Redlock

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// From the campaign to the end of the term.
extension LeaderElector {
    // MARK: The campaign

    /// Does something while others can see that this candidate campaigns.
    private func asCandidate<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask { [self] in
                await showCandidacy()
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    /// Has a share in a lock by which others see this candidate, until the task is cancelled.
    private func showCandidacy() async {
        let note = CandidateNote(client: redlock.identifier, priority: priority, metadata: candidate.metadata)
        let options = LockOptions(ttl: configuration.leaseDuration, label: candidate.identity, note: note.text)
        while !Task.isCancelled {
            do {
                try await redlock.withLock(names.candidacy(of: candidate.identity), mode: .shared, options: options) {
                    _ in
                    while true { try await surroundings.sleep(for: .seconds(3_600)) }
                }
            } catch is CancellationError {
                return
            } catch {
                logger.debug("others do not see this candidate", metadata: ["reason": "\(error)"])
                try? await pause()
            }
        }
    }

    /// Campaigns as long as the candidate is fit to lead, and leads once.
    func campaign<Result: Sendable>(
        _ lead: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> Result {
        while true {
            try await untilEligible()
            set(.following)
            eventHub.tell(.campaigning)
            if case .led(let result) = try await asCandidate({ [self] in try await campaignWhileEligible(lead) }) {
                return result
            }
        }
    }

    private func untilEligible() async throws {
        guard let isEligible else { return }
        while await !isEligible() {
            set(.notEligible)
            try await pause()
        }
    }

    /// How a campaign ended.
    private enum CampaignOutcome<Result: Sendable>: Sendable {
        case led(Result)
        /// The candidate became unfit before it led.
        case notEligible
    }

    private func campaignWhileEligible<Result: Sendable>(
        _ lead: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> CampaignOutcome<Result> {
        guard let isEligible else { return try await winAndLead(lead) }
        return try await withThrowingTaskGroup(of: CampaignOutcome<Result>.self) { group in
            group.addTask { [self] in try await winAndLead(lead) }
            group.addTask { [self] in
                // A leader that is not fit any more ends its term, and this goes on until it has.
                repeat { try await pause() } while await isEligible() || end(.notEligible)
                return .notEligible
            }
            defer { group.cancelAll() }
            if case .led(let result)? = try await group.next() { return .led(result) }
            group.cancelAll()
            // It may have won just now; what leads then is cancelled as well.
            do {
                return try await group.next() ?? .notEligible
            } catch is CancellationError where !Task.isCancelled {
                return .notEligible
            }
        }
    }

    /// Waits for the leadership, leads, and gives it up; at once if the candidate turns out not to be fit when it has won.
    private func winAndLead<Result: Sendable>(
        _ lead: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> CampaignOutcome<Result> {
        do {
            return try await redlock.withLock(name, options: options) { lease in
                if let isEligible, await !isEligible() {
                    lease.planRelease(because: TermEnding.notEligible.text)
                    return .notEligible
                }
                return .led(try await self.lead(Term(lease, leader: candidate), lead))
            }
        } catch let error as RedlockError where error.code == .quorumUnavailable && error.resource == name {
            set(.outOfTouch(reason: "\(error)"))
            throw error
        }
    }

    private var options: LockOptions {
        LockOptions(
            ttl: configuration.leaseDuration,
            cancellationMargin: configuration.leaseDuration - configuration.renewDeadline,
            label: candidate.identity,
            note: candidate.metadata,
            // So that whoever is to lead next does, and nobody who happens to ask at that moment.
            fair: true,
            // Each term is one grant, whose number the nodes show.
            handsOver: false,
            priority: priority,
            recordedGrants: Self.termsInHistory
        )
    }

    // MARK: The term

    /// How what leads came to its end.
    private enum Outcome<Result: Sendable>: Sendable {
        case returned(Result)
        case failed(any Error)
        /// The candidate ended the term; what leads may have failed while it was waited for.
        case ended(TermEnding, failure: (any Error)?)
    }

    /// Runs what leads until it returns or the term is ended; the loss of the term cancels the task that this runs in.
    private func lead<Result: Sendable>(
        _ term: Term,
        _ lead: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> Result {
        let endings = AsyncStream.makeStream(of: TermEnding.self)
        begin(term, endings: endings.continuation)
        metrics.termBegan()
        logger.notice("leading", metadata: ["term": "\(term.number)"])
        eventHub.tell(.leading(term))
        let watch = watchForOverrun(of: term)
        let outcome = await outcome(of: term, lead, endings.stream)
        watch.cancel()
        endTerm()
        metrics.termEnded()
        let reason = plan(outcome, for: term)
        logger.notice("not leading any more", metadata: ["term": "\(term.number)", "reason": "\(reason)"])
        eventHub.tell(.ended(term: term.number, reason: reason))
        switch outcome {
        case .returned(let result): return result
        case .failed(let error): throw error
        case .ended(let ending, let failure):
            throw failure ?? ending.error(candidate: candidate.identity, election: name)
        }
    }

    private func outcome<Result: Sendable>(
        of term: Term,
        _ lead: @escaping @Sendable (Term) async throws -> Result,
        _ endings: AsyncStream<TermEnding>
    ) async -> Outcome<Result> {
        await withTaskGroup(of: Outcome<Result>?.self) { group in
            group.addTask {
                do { return .returned(try await lead(term)) } catch { return .failed(error) }
            }
            group.addTask {
                for await ending in endings { return .ended(ending, failure: nil) }
                return nil
            }
            group.addTask { [self] in
                await attendToRequests(under: term)
                return nil
            }
            defer { group.cancelAll() }
            while let step = await group.next() {
                guard let step else { continue }
                guard case .ended(let ending, _) = step else { return step }
                // What leads is waited for, without bound.
                group.cancelAll()
                while let last = await group.next() {
                    if case .failed(let error)? = last, !(error is CancellationError) {
                        return .ended(ending, failure: error)
                    }
                }
                return step
            }
            return .failed(CancellationError())
        }
    }

    /// Sees to it that the release wakes whoever is to lead next, and that the history tells why the term ended.
    ///
    /// - Returns: why it ended.
    private func plan<Result>(_ outcome: Outcome<Result>, for term: Term) -> String {
        var successor: ClientIdentifier?
        let reason: String
        switch outcome {
        case .returned: reason = "done"
        case .failed(let error): reason = error is CancellationError ? "cancelled" : "failed: \(type(of: error))"
        case .ended(let ending, _):
            reason = ending.text
            successor = ending.successor
        }
        guard term.isValid else { return "lost" }
        term.lease.planRelease(to: successor, because: reason)
        return reason
    }

    /// Hands over if another asks for it, and tells how old the last renewal is, until the task is cancelled.
    private func attendToRequests(under term: Term) async {
        while (try? await surroundings.sleep(for: configuration.requestInterval)) != nil {
            let sinceRenewal = configuration.leaseDuration - (term.validUntil - surroundings.now())
            metrics.renewed(sinceRenewal)
            guard let successor = await requestedSuccessor(), successor != candidate.identity else { continue }
            do {
                end(.handedOver(to: try await liveCandidate(successor)))
            } catch {
                logger.warning("cannot hand over", metadata: ["reason": "\(error)"])
            }
        }
    }

    /// Tells when what leads is still at work at the end of its term.
    ///
    /// A task of its own, which the cancellation of what leads does not end, on the thread of the client, which what leads
    /// does not keep busy.
    private func watchForOverrun(of term: Term) -> Task<Void, Never> {
        let margin = configuration.abortOnOverrun ? configuration.leaseDuration / 50 : .zero
        return Task(executorPreference: redlock.taskExecutor) { [self] in
            while true {
                let left = term.validUntil - surroundings.now() - margin
                guard left > .zero else { break }
                guard (try? await surroundings.sleep(for: left)) != nil else { return }
            }
            metrics.overran()
            eventHub.tell(.overrun(term: term.number))
            logger.critical(
                configuration.abortOnOverrun
                    ? "the term ends, and what leads under it goes on: the process is ended"
                    : "the term has ended, and what leads under it goes on: somebody else may lead now",
                metadata: ["term": "\(term.number)"]
            )
            if configuration.abortOnOverrun { abort() }
        }
    }
}
