// SPDX-License-Identifier: Apache-2.0

import Hiredis
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One after the other: they look at the memory of the whole process.
@Suite("Memory", .serialized)
struct MemoryTests {
    @Test("A reader is freed with its last reference, also in the middle of a reply")
    func readerIsFreed() throws {
        for wire in ["", "+OK\r\n", "*2\r\n*2\r\n$3\r\nabc\r\n", "$9\r\nabc", "?"] {
            weak var freed: ReplyReader?
            do {
                let reader = ReplyReader()
                freed = reader
                try reader.feed(wire)
                _ = try? reader.next()
                #expect(freed != nil)
            }
            #expect(freed == nil)
        }
    }

    @Test("A name of 10 MB is encoded, and its memory not kept")
    func hugeName() throws {
        let name = [UInt8](repeating: 0x0d, count: 10 * 1024 * 1024)
        var encoder = CommandEncoder()
        encoder.begin()
        encoder.append("GET")
        encoder.append(name)
        let head = Array("*2\r\n$3\r\nGET\r\n$\(name.count)\r\n".utf8)
        try encoder.withEncoded { bytes in
            #expect(bytes.count == head.count + name.count + 2)
            #expect(bytes.prefix(head.count).elementsEqual(head))
            #expect(bytes.dropFirst(head.count).elementsEqual(name + [0x0d, 0x0a]))
        }
        encoder.begin()
        encoder.append("PING")
        #expect(try encoder.withEncoded { Array($0) } == Array("*1\r\n$4\r\nPING\r\n".utf8))
    }

    #if os(Linux)
        private static func residentBytes() throws -> Int {
            let file = try #require(fopen("/proc/self/statm", "r"))
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 128)
            _ = fgets(&line, Int32(line.count), file)
            // The second number is the resident size in pages.
            let text = String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let pages = try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) })
            return pages * sysconf(Int32(_SC_PAGESIZE))
        }

        @Test("A million replies leave no memory behind")
        func repliesAreFreed() throws {
            // Every round allocates for each of its replies, so that anything kept would be at least 64 MB in the end.
            let replies =
                [RESPValue.array([.bulk("forty bytes, so that nothing is inlined..."), .integer(1)])]
                + [.simpleString("a status of more than fifteen bytes")]
            let block = replies.flatMap(\.encoded)
            let reader = ReplyReader()
            func round() throws {
                for _ in 0..<50 { try reader.feed(block[...]) }
                var replyCount = 0
                while try reader.next() != nil { replyCount += 1 }
                #expect(replyCount == 100)
            }
            for _ in 0..<200 { try round() }
            let before = try Self.residentBytes()
            for _ in 0..<10_000 { try round() }
            #expect(try Self.residentBytes() - before < 32 * 1024 * 1024)
        }

        @Test("A hundred thousand readers that end in the middle of a reply leave no memory behind")
        func readersAreFreed() throws {
            func round() throws {
                let reader = ReplyReader()
                try reader.feed("*3\r\n*2\r\n$40\r\n\(String(repeating: "x", count: 40))\r\n")
                #expect(try reader.next() == nil)
            }
            for _ in 0..<1_000 { try round() }
            let before = try Self.residentBytes()
            for _ in 0..<100_000 { try round() }
            #expect(try Self.residentBytes() - before < 32 * 1024 * 1024)
        }

        @Test("A million commands leave no memory behind, also when the body throws")
        func commandsAreFreed() throws {
            var encoder = CommandEncoder()
            let before = try Self.residentBytes()
            for _ in 0..<1_000_000 {
                encoder.begin()
                encoder.append("SET")
                encoder.append("redlock:lock:invoices/42")
                encoder.append(Int64(30_000))
                try? encoder.withEncoded { _ in throw CommandEncodingError.tooLarge(byteCount: 0) }
            }
            #expect(try Self.residentBytes() - before < 32 * 1024 * 1024)
        }
    #endif
}
