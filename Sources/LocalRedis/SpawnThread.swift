// SPDX-License-Identifier: Apache-2.0
import CSpawn
import Dispatch
import Foundation
import Synchronization

/// The one thread that starts servers and reaps them, alive as long as the process.
///
/// The parent-death signal of a child follows the thread that started it, so a pool thread, which ends when it idles,
/// would take the servers with it.
final class SpawnThread: Sendable {
    static let shared = SpawnThread()

    private let jobs = Mutex<[@Sendable () -> ServerProcess?]>([])
    private let available = DispatchSemaphore(value: 0)

    private init() {
        // As it never returns, the thread that the queue is given is its own for good.
        DispatchQueue(label: "LocalRedis").async { [self] in serve() }
    }

    /// Starts the program, or throws the number of the error.
    func spawn(_ program: ProgramStart) async throws(SpawnError) -> ServerProcess {
        let result: Result<ServerProcess, SpawnError> = await withCheckedContinuation { continuation in
            jobs.withLock { jobs in
                jobs.append {
                    let result = program.start()
                    continuation.resume(returning: result)
                    return try? result.get()
                }
            }
            available.signal()
        }
        return try result.get()
    }

    private func serve() -> Never {
        var children: [ServerProcess] = []
        while true {
            // A look at a child that ended reaps it. Nobody else may ever look, and a zombie disturbs others who wait
            // for any child of this process.
            let limit: DispatchTime = children.isEmpty ? .distantFuture : .now() + .milliseconds(100)
            if available.wait(timeout: limit) == .success, let child = jobs.withLock({ $0.removeFirst() })() {
                children.append(child)
            }
            children.removeAll { $0.condition == .dead }
        }
    }
}

struct SpawnError: Error {
    var number: Int32
}

/// A program to start, with nothing on its standard input and all its output in one file.
struct ProgramStart: Sendable {
    var program: String
    var arguments: [String]
    var environment: [String]
    var directory: String
    var outputFile: String
    var lifetime: LocalRedisLifetime

    func start() -> Result<ServerProcess, SpawnError> {
        let input = openDescriptor("/dev/null", O_RDONLY)
        guard input >= 0 else { return .failure(SpawnError(number: errno)) }
        defer { closeDescriptor(input) }
        let output = openDescriptor(outputFile, O_WRONLY | O_CREAT | O_APPEND)
        guard output >= 0 else { return .failure(SpawnError(number: errno)) }
        defer { closeDescriptor(output) }

        let argumentStrings = ([program] + arguments).map { strdup($0) }
        let environmentStrings = environment.map { strdup($0) }
        defer { (argumentStrings + environmentStrings).forEach { free($0) } }
        var process: Int32 = 0
        let error = program.withCString { program in
            directory.withCString { directory in
                (argumentStrings + [nil]).withUnsafeBufferPointer { arguments in
                    (environmentStrings + [nil]).withUnsafeBufferPointer { environment in
                        var request = cspawn_request()
                        request.program = program
                        request.arguments = arguments.baseAddress
                        request.environment = environment.baseAddress
                        request.working_directory = directory
                        request.standard_input = input
                        request.standard_output = output
                        request.standard_error = output
                        request.terminal = -1
                        switch lifetime {
                        case .boundToThisProcess:
                            // A group of its own, or Ctrl-C in a terminal would end the servers before their tests.
                            request.process_group = Int32(CSPAWN_GROUP_OWN)
                            request.parent_death_signal = SIGKILL
                        case .detached:
                            request.process_group = Int32(CSPAWN_SESSION_OWN)
                        }
                        return cspawn(&request, &process)
                    }
                }
            }
        }
        guard error == 0 else { return .failure(SpawnError(number: error)) }
        // Even one that ended at once is there to be looked at, until it is reaped.
        guard let child = ServerProcess(child: process) else { return .failure(SpawnError(number: ESRCH)) }
        return .success(child)
    }
}
