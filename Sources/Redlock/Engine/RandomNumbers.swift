// SPDX-License-Identifier: Apache-2.0

import LockCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Random numbers of the system, fetched several at once where many are needed: asking the kernel for each takes longer
/// than encoding the command that it is for.
///
/// None is kept for longer than a millisecond. A machine that is copied while it runs would otherwise give the same
/// numbers as its copy, and two holders would have one owner token.
struct RandomNumbers: ~Copyable {
    private static let longestLifeNanoseconds: Int64 = 1_000_000
    /// An owner token takes two.
    private static let leastAtOnce = 2
    /// So many are certain to be given at once by the kernel (256 bytes).
    private static let mostAtOnce = 32

    private var numbers: [UInt64] = []
    private var fetched: Instant?
    private var lastCount = 0

    mutating func next(at now: Instant) -> UInt64 {
        let isFresh = fetched.map { $0.nanoseconds(until: now) < Self.longestLifeNanoseconds } ?? false
        if !isFresh { numbers.removeAll(keepingCapacity: true) }
        if numbers.isEmpty {
            // Twice as many as those that did not last.
            fetch(isFresh ? min(2 * lastCount, Self.mostAtOnce) : Self.leastAtOnce)
            fetched = now
        }
        if let number = numbers.popLast() { return number }
        // The kernel refused; the standard library insists.
        var system = SystemRandomNumberGenerator()
        return system.next()
    }

    private mutating func fetch(_ count: Int) {
        lastCount = count
        let byteCount = count * MemoryLayout<UInt64>.size
        numbers.append(contentsOf: repeatElement(0, count: count))
        let isFilled = numbers.withUnsafeMutableBytes { bytes in
            #if canImport(Darwin)
                arc4random_buf(bytes.baseAddress, byteCount)
                return true
            #else
                return getentropy(bytes.baseAddress, byteCount) == 0
            #endif
        }
        if !isFilled { numbers.removeAll(keepingCapacity: true) }
    }
}
