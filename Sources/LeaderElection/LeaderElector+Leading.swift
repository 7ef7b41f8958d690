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
        _ body: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> Result {
        while true {
            try await untilEligible()
            set(.following)
            eventHub.tell(.campaigning)
            if case .led(let result) = try await asCandidate({ [self] in try await campaignWhileEligible(body) }) {
                return result
            }
            try await pause()
        }
    }

    private func untilEligible() async throws {
        while await !isFit() {
            set(.notEligible)
            try await pause()
        }
    }

    /// Whether the candidate is fit to lead; one that has no answer within a retry period is not.
    private func isFit() async -> Bool {
        guard let isEligible else { return true }
        let answers = AsyncStream.makeStream(of: Bool.self, bufferingPolicy: .bufferingOldest(1))
        // Tasks of their own: a question that hangs, and ignores that it is cancelled, must not hang the candidate.
        let question = Task(executorPreference: surroundings.executor) {
            answers.continuation.yield(await isEligible())
        }
        let patience = Task(executorPreference: surroundings.executor) { [self] in
            try? await surroundings.sleep(for: configuration.retryPeriod)
            answers.continuation.yield(false)
        }
        defer {
            question.cancel()
            patience.cancel()
        }
        for await answer in answers.stream { return answer }
        return false
    }

    /// How a campaign ended.
    private enum CampaignOutcome<Result: Sendable>: Sendable {
        case led(Result)
        /// The candidate became unfit before it led.
        case notEligible
    }

    private func campaignWhileEligible<Result: Sendable>(
        _ body: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> CampaignOutcome<Result> {
        guard isEligible != nil else { return try await winAndLead(body) }
        return try await withThrowingTaskGroup(of: CampaignOutcome<Result>?.self) { group in
            group.addTask { [self] in try await winAndLead(body) }
            group.addTask { [self] in await untilUnfit() ? .notEligible : nil }
            defer { group.cancelAll() }
            var isUnfit = false
            do {
                while let outcome = try await group.next() {
                    switch outcome {
                    case nil: continue
                    case .led?: return outcome ?? .notEligible
                    case .notEligible?:
                        // Either of the two; if it has won just now, what leads then is cancelled as well.
                        isUnfit = true
                        group.cancelAll()
                    }
                }
            } catch is CancellationError where isUnfit && !Task.isCancelled {}
            try Task.checkCancellation()
            return .notEligible
        }
    }

    /// Asks every retry period whether the candidate is fit.
    ///
    /// A leader that is not fit any more ends its term, and this goes on until it has.
    ///
    /// - Returns: whether it is not, while it does not lead; false if the task was cancelled.
    private func untilUnfit() async -> Bool {
        while (try? await pause()) != nil {
            if await isFit() || Task.isCancelled { continue }
            guard end(.notEligible) else { return true }
        }
        return false
    }

    /// Waits for the leadership, leads, and gives it up; at once if the candidate turns out not to be fit when it has won.
    private func winAndLead<Result: Sendable>(
        _ body: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> CampaignOutcome<Result> {
        do {
            return try await redlock.withLock(name, options: options) { lease in
                guard await isFit() else {
                    lease.planRelease(because: TermEnding.notEligible.text)
                    return .notEligible
                }
                return .led(try await lead(Term(lease, leader: candidate), body))
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

    /// How a term came to its end.
    private enum TermOutcome<Result: Sendable>: Sendable {
        case returned(Result)
        case failed(any Error)
        /// The candidate ended the term, whatever what led made of that.
        case ended(TermEnding)
    }

    /// Leads until the body returns or the term is ended; the loss of the term cancels the task that this runs in.
    private func lead<Result: Sendable>(
        _ term: Term,
        _ body: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> Result {
        let endings = AsyncStream.makeStream(of: TermEnding.self, bufferingPolicy: .bufferingOldest(1))
        begin(term, endings: endings.continuation)
        metrics.termBegan()
        logger.notice("leading", metadata: ["term": "\(term.number)"])
        eventHub.tell(.leading(term))
        let watch = watchForOverrun(of: term)
        let outcome = await outcome(of: term, body, endings.stream)
        watch.cancel()
        endTerm()
        metrics.termEnded()
        let reason = plan(outcome, for: term)
        logger.notice("not leading any more", metadata: ["term": "\(term.number)", "reason": "\(reason)"])
        eventHub.tell(.ended(term: term.number, reason: reason))
        switch outcome {
        case .returned(let result): return result
        case .failed(let error): throw error
        case .ended(let ending): throw ending.error(candidate: candidate.identity, election: name)
        }
    }

    private func outcome<Result: Sendable>(
        of term: Term,
        _ body: @escaping @Sendable (Term) async throws -> Result,
        _ endings: AsyncStream<TermEnding>
    ) async -> TermOutcome<Result> {
        await withTaskGroup(of: TermOutcome<Result>?.self) { group in
            group.addTask {
                do { return .returned(try await body(term)) } catch { return .failed(error) }
            }
            group.addTask {
                for await ending in endings { return .ended(ending) }
                return nil
            }
            group.addTask { [self] in
                await attend(to: term)
                return nil
            }
            defer { group.cancelAll() }
            while let step = await group.next() {
                guard let step else { continue }
                guard case .ended = step else { return step }
                // The body is waited for, without bound, and may answer its cancellation with whatever error.
                group.cancelAll()
                while let last = await group.next() {
                    guard case .failed(let error)? = last, !(error is CancellationError) else { continue }
                    logger.info("what led ended with an error", metadata: ["error": "\(type(of: error))"])
                }
                return step
            }
            // The body always has an outcome, so that this is not reached.
            return .failed(CancellationError())
        }
    }

    /// Sees to it that the release wakes whoever is to lead next, and that the history tells why the term ended.
    ///
    /// - Returns: why it ended.
    private func plan<Result>(_ outcome: TermOutcome<Result>, for term: Term) -> String {
        var successor: ClientIdentifier?
        let reason: String
        switch outcome {
        case .returned: reason = "done"
        case .failed(let error): reason = error is CancellationError ? "cancelled" : "failed: \(type(of: error))"
        case .ended(let ending):
            reason = ending.text
            successor = ending.successor
        }
        guard term.isValid else { return "lost" }
        term.lease.planRelease(to: successor, because: reason)
        return reason
    }

    /// Tells how old the last renewal is, and hands over if another asks for it, until the task is cancelled.
    private func attend(to term: Term) async {
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
            let isAborting = configuration.abortOnOverrun
            // A task of its own, as whoever takes the log may keep it waiting.
            Task(executorPreference: surroundings.executor) { [logger] in
                logger.critical(
                    isAborting
                        ? "the term ends, and what leads under it goes on: the process is ended"
                        : "the term has ended, and what leads under it goes on: somebody else may lead now",
                    metadata: ["term": "\(term.number)"]
                )
            }
            guard isAborting else { return }
            try? await surroundings.sleep(for: margin / 4)
            abort()
        }
    }
}
