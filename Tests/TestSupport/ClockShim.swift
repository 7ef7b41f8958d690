// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Foundation
    import Synchronization

    /// The clocks of a process, for a test to move: of every process that is started with its `environment`.
    ///
    /// The process starts with the real clocks, and every change counts for it at once. A process that is started later,
    /// a restarted server for example, starts with what the clocks show then. What it does by them, and what not, says
    /// clock_shim.c, which is loaded into it.
    package final class ClockShim: Sendable {
        /// What to start the process with, besides what it needs itself.
        package let environment: [String: String]
        private let settings: Mutex<ClockSettings>

        /// - Throws: `ClockShimError` if there is no C compiler.
        package init() throws {
            let file = ClockPrograms.directory.appending(path: UUID().uuidString).path
            environment = ["LD_PRELOAD": try ClockPrograms.shared.get().shim, "CLOCK_SHIM_FILE": file]
            settings = Mutex(try ClockSettings(file: file))
        }

        /// Moves the wall clock (CLOCK_REALTIME) on, or back.
        package func jumpWallClock(by distance: Duration) {
            settings.withLock { $0.change([.wall]) { line, _ in line.shown += distance.wholeNanoseconds } }
        }

        /// Lets the wall clock go at another rate from now on: at 1 as the real one, at 2 twice as fast, at 0 not at all.
        package func setWallClockRate(_ rate: Double) {
            settings.withLock { $0.change([.wall]) { line, now in line.setRate(rate, at: now) } }
        }

        /// Moves the clock that counts the sleep of the machine as well (CLOCK_BOOTTIME, the `ContinuousClock`).
        ///
        /// Moved on alone, it imitates that sleep.
        package func moveContinuousClock(by distance: Duration) {
            settings.withLock { $0.change([.continuous]) { line, _ in line.shown += distance.wholeNanoseconds } }
        }

        /// Moves the clock that stands still while the machine sleeps (CLOCK_MONOTONIC, the `SuspendingClock`).
        package func moveSuspendingClock(by distance: Duration) {
            settings.withLock { $0.change([.suspending]) { line, _ in line.shown += distance.wholeNanoseconds } }
        }

        /// Stops both clocks that are no wall clock, as those of a virtual machine that is not run; the wall clock goes on.
        package func freezeContinuousClocks() {
            settings.withLock { $0.change([.continuous, .suspending]) { line, now in line.setRate(0, at: now) } }
        }

        /// Lets them go on from where they stood: they stay behind.
        package func unfreezeContinuousClocks() {
            settings.withLock { $0.change([.continuous, .suspending]) { line, now in line.setRate(1, at: now) } }
        }
    }

    /// What is missing, and what to do.
    package struct ClockShimError: Error, CustomStringConvertible {
        package let description: String
    }

    /// The file that clock_shim.c reads.
    private struct ClockSettings: ~Copyable {
        /// In the order of the file.
        enum Clock: Int, CaseIterable {
            case wall, continuous, suspending

            /// What the real clock shows now.
            var realTime: Int64 {
                var now = timespec()
                switch self {
                case .wall: clock_gettime(CLOCK_REALTIME, &now)
                case .continuous: clock_gettime(CLOCK_BOOTTIME, &now)
                case .suspending: clock_gettime(CLOCK_MONOTONIC, &now)
                }
                return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
            }
        }

        /// What a clock shows, in nanoseconds: it goes on from an anchor at a rate of its own.
        struct Line {
            /// The anchor: when the real clock shows this...
            var real: Int64 = 0
            /// ...it shows this.
            var shown: Int64 = 0
            var partsPerMillion: Int64 = 1_000_000

            mutating func setRate(_ rate: Double, at now: Int64) {
                let elapsed = now - real
                // As clock_shim.c does it, or the clock would jump.
                shown += elapsed / 1_000_000 * partsPerMillion + elapsed % 1_000_000 * partsPerMillion / 1_000_000
                real = now
                partsPerMillion = Int64((rate * 1_000_000).rounded())
            }
        }

        private static let wordsPerLine = 3
        private static let wordCount = 1 + wordsPerLine * Clock.allCases.count
        private static let size = wordCount * MemoryLayout<Int64>.size

        private let file: String
        /// The version, which is odd during a change, and then the lines.
        private let words: UnsafeMutablePointer<Atomic<Int64>>
        private var lines = Clock.allCases.map { _ in Line() }

        init(file: String) throws {
            let descriptor = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0, ftruncate(descriptor, off_t(Self.size)) == 0,
                let mapping = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
                mapping != MAP_FAILED
            else { throw ClockShimError(description: "\(file) cannot be made: \(String(cString: strerror(errno)))") }
            close(descriptor)
            self.file = file
            words = mapping.bindMemory(to: Atomic<Int64>.self, capacity: Self.wordCount)
            change(Clock.allCases) { _, _ in }
        }

        deinit {
            munmap(words, Self.size)
            unlink(file)
        }

        /// Changes the lines of the clocks; the body gets what the real clock shows now.
        mutating func change(_ clocks: [Clock], _ body: (inout Line, Int64) -> Void) {
            words[0].wrappingAdd(1, ordering: .relaxed)
            // Whoever reads waits from here on, so that nobody has seen a clock go further than to where it is stopped.
            atomicMemoryFence(ordering: .sequentiallyConsistent)
            for clock in clocks {
                body(&lines[clock.rawValue], clock.realTime)
                store(clock)
            }
            words[0].wrappingAdd(1, ordering: .releasing)
        }

        private func store(_ clock: Clock) {
            let line = lines[clock.rawValue]
            let start = 1 + Self.wordsPerLine * clock.rawValue
            for (offset, value) in [line.real, line.shown, line.partsPerMillion].enumerated() {
                words[start + offset].store(value, ordering: .relaxed)
            }
        }
    }

    /// The programs of Tests/ClockShim, compiled once for this process and removed at its end.
    package struct ClockPrograms: Sendable {
        package static let shared = Result { try ClockPrograms() }
        fileprivate static let directory = FileManager.default.temporaryDirectory
            .appending(path: "redlock-clocks-\(UUID().uuidString)")

        /// The library to load into a process.
        package let shim: String
        /// A program that says what its clocks show.
        package let reader: String

        private init() throws {
            try FileManager.default.createDirectory(at: Self.directory, withIntermediateDirectories: true)
            atexit { try? FileManager.default.removeItem(at: ClockPrograms.directory) }
            shim = try Self.compile("clock_shim.c", options: ["-shared", "-fPIC", "-O2"])
            reader = try Self.compile("clock_reader.c", options: ["-O2"])
        }

        private static func compile(_ name: String, options: [String]) throws -> String {
            let sources = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../ClockShim")
            let result = directory.appending(path: name).deletingPathExtension().path
            // A system without cc may still have the compiler that comes with Swift.
            let script = #"exec "$(command -v cc || command -v clang || echo cc)" "$@""#
            let compiler = Process()
            compiler.executableURL = URL(filePath: "/bin/sh")
            compiler.arguments = ["-c", script, "sh", "-o", result, sources.appending(path: name).path] + options
            let errors = Pipe()
            compiler.standardError = errors
            try compiler.run()
            let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            compiler.waitUntilExit()
            guard compiler.terminationStatus == 0 else {
                throw ClockShimError(
                    description: "\(name) was not compiled; it takes a C compiler (Debian: apt install gcc): \(text)"
                )
            }
            return result
        }
    }

    extension Duration {
        fileprivate var wholeNanoseconds: Int64 {
            components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
        }
    }
#endif
