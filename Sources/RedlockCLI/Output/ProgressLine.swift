// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line on the terminal for whoever waits for a result, in the same place all the time and gone at the end.
struct ProgressLine: Sendable {
    private let isShown: Bool

    /// Shown only to people who want to be told: standard error is a terminal, and neither quiet nor for programs.
    init(_ output: OutputOptions, isTerminal: Bool = isatty(STDERR_FILENO) == 1) {
        isShown = isTerminal && !output.quiet && !output.json
    }

    /// Shows the title, and how much of the time is left, while the body runs.
    func during<Value: Sendable>(
        _ title: String,
        for duration: Duration,
        _ body: () async throws -> Value
    ) async throws -> Value {
        guard isShown else { return try await body() }
        let end = ContinuousClock.now + duration
        let ticker = Task {
            while !Task.isCancelled {
                let seconds = max(.zero, end - .now).wholeSecondsRoundedUp
                write("\r\u{1B}[Kredlock: \(title), \(seconds)s left")
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        ticker.cancel()
        await ticker.value
        write("\r\u{1B}[K")
        return try result.get()
    }

    private func write(_ text: String) {
        // A picture of what goes on: where it cannot be shown, the work goes on.
        _ = StandardOutput.write(text, to: STDERR_FILENO)
    }
}
