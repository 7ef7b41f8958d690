// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Random numbers of the system, fetched for a whole tick of the loop at once: asking the kernel for each takes longer
/// than encoding the command that it is for.
///
/// None is kept beyond the tick. A machine that is copied while it runs would otherwise give the same numbers as its copy,
/// and two holders would have one owner token.
struct RandomNumbers: ~Copyable {
    /// So many are certain to be given at once by the kernel (256 bytes).
    private static let most = 32

    private var numbers: [UInt64] = []
    private var usedInTick = 0
    private var usedInTickBefore = 0

    mutating func next() -> UInt64 {
        usedInTick += 1
        if let number = numbers.popLast() { return number }
        fetch()
        if let number = numbers.popLast() { return number }
        var system = SystemRandomNumberGenerator()
        return system.next()
    }

    /// Forgets what was not used.
    mutating func endTick() {
        numbers.removeAll(keepingCapacity: true)
        usedInTickBefore = usedInTick
        usedInTick = 0
    }

    /// Fetches as many as the tick before needed; an owner token takes two.
    private mutating func fetch() {
        let count = min(max(2, usedInTickBefore), Self.most)
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
        // The kernel refused: whoever asks is given one number by the means of the standard library, which insists.
        if !isFilled { numbers.removeAll(keepingCapacity: true) }
    }
}
