// SPDX-License-Identifier: Apache-2.0

import RedisTransport
import RedlockTesting
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite
struct RedisEndpointTests {
    struct Good: Sendable, CustomTestStringConvertible {
        var testDescription: String { url }
        let url: String
        let address: RedisEndpoint.Address
        var username: String?
        var password: String?
        var database = 0
        var isTLS = false
        var name: String?
    }

    static let good = [
        Good(url: "redis://a", address: .host("a", port: 6379)),
        Good(url: "redis://a/", address: .host("a", port: 6379)),
        Good(url: "redis://127.0.0.1:7000", address: .host("127.0.0.1", port: 7000)),
        Good(url: "redis://a:1", address: .host("a", port: 1)),
        Good(url: "redis://a:65535", address: .host("a", port: 65535)),
        Good(url: "REDIS://Node-1.Example.COM:7000", address: .host("node-1.example.com", port: 7000)),
        Good(url: "redis://[::1]", address: .host("::1", port: 6379)),
        Good(url: "redis://[FE80::1]:7000/2", address: .host("fe80::1", port: 7000), database: 2),
        Good(url: "redis://a/15", address: .host("a", port: 6379), database: 15),
        Good(url: "redis://:secret@a", address: .host("a", port: 6379), password: "secret"),
        Good(url: "redis://me:secret@a", address: .host("a", port: 6379), username: "me", password: "secret"),
        Good(url: "redis://Me:SeCret@A", address: .host("a", port: 6379), username: "Me", password: "SeCret"),
        Good(
            url: "redis://m%40e:p%3A%2F%40%23%3F%25%20s@a/3",
            address: .host("a", port: 6379),
            username: "m@e",
            password: "p:/@#?% s",
            database: 3
        ),
        Good(url: "redis://:gr%C3%B6%C3%9Fe@a", address: .host("a", port: 6379), password: "größe"),
        Good(url: "redis://:@a", address: .host("a", port: 6379), password: ""),
        Good(url: "rediss://a", address: .host("a", port: 6379), isTLS: true),
        Good(url: "RedisS://a:7000/1", address: .host("a", port: 7000), database: 1, isTLS: true),
        Good(url: "redis://10.0.0.1#a", address: .host("10.0.0.1", port: 6379), name: "a"),
        Good(
            url: "redis://10.0.0.1:7000/1#node%201",
            address: .host("10.0.0.1", port: 7000),
            database: 1,
            name: "node 1"
        ),
        Good(url: "redis+unix:///tmp/r#b", address: .unixSocket(path: "/tmp/r"), name: "b"),
        Good(url: "redis+unix:///tmp/redis.sock", address: .unixSocket(path: "/tmp/redis.sock")),
        Good(url: "redis+unix:///tmp/Redis%20A.sock", address: .unixSocket(path: "/tmp/Redis A.sock")),
        Good(url: "redis+unix:///tmp/r?database=4", address: .unixSocket(path: "/tmp/r"), database: 4),
        Good(
            url: "redis+unix://me:secret@/tmp/r?database=4",
            address: .unixSocket(path: "/tmp/r"),
            username: "me",
            password: "secret",
            database: 4
        ),
    ]

    @Test(arguments: good)
    func understands(_ good: Good) throws {
        let endpoint = try RedisEndpoint(url: good.url)
        #expect(endpoint.address == good.address)
        #expect(endpoint.username == good.username)
        #expect(endpoint.password == good.password)
        #expect(endpoint.database == good.database)
        #expect(endpoint.name == good.name)
        #expect((endpoint.tls != nil) == good.isTLS)
    }

    @Test(arguments: [
        "", " ", "a", "127.0.0.1:6379", "://a", "redis:", "redis:a", "redis:///", "redis://", "redis://:6379",
        "redis://@",
        "http://a", "redis+tls://a", "unix:///tmp/r", "redis://a:0", "redis://a:65536", "redis://a:-1", "redis://a:x",
        "redis://a:99999999999999999999", "redis://::1", "redis://[::1", "redis://a/x", "redis://a/-1", "redis://a/+1",
        "redis://a/1/2", "redis://a/99999999999999999999", "redis://a/%31%00", "redis://a?database=1", "redis://a#",
        "redis://a/1#", "redis://me@a", "redis://a b", "redis://a\n", "redis://a\u{0}", "redis://a%00b",
        "redis://a%0Ab",
        " redis://a", "redis://a ", "redis://a%20b", "redis://a,b", "redis://a;b", "redis://a%2Fb", "redis://a/٣",
        "redis+unix://host/tmp/r", "redis+unix://tmp/r", "redis+unix:///", "redis+unix://", "redis+unix:///tmp/r#",
        "redis+unix:///tmp/r?db=1", "redis+unix:///tmp/r?database=x", "redis+unix:///tmp/r?database=",
        "redis+unix:///tmp/r?database", "redis+unix:///tmp/r%00x", "redis+unix:///tmp/a%0Ab", "redis+unix://me@/tmp/r",
        "redis+unix:///tmp/r?database=1&password=x",
    ])
    func refuses(_ url: String) {
        let error = #expect(throws: RedisEndpointError.self) { try RedisEndpoint(url: url) }
        guard let error else { return }
        #expect(!error.problem.isEmpty)
        #expect(error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F })
    }

    /// A URL with a character that has another meaning there was cut at it, and the rest taken for something harmless.
    @Test(arguments: [
        ("57#x", "a # must be written %23"), ("57?x", "a ? must be written %3F"), ("57/x", "a / must be written %2F"),
        ("x@y", "an @ must be written %40"), ("50%", "a % must be written %25"), ("50%x1", "a % must be written %25"),
        ("50%C3", "a % must be written %25"), ("[x", "a [ must be written %5B"), ("x]", "a ] must be written %5D"),
        ("x y", "a space must be written %20"), ("x\ty", "a control character must be written %09"),
    ])
    func saysHowACharacterInAPasswordIsWritten(_ password: String, _ advice: String) {
        for url in ["redis://user:\(password)@a:7000/0", "rediss://:\(password)@a", "redis+unix://:\(password)@/tmp/r"]
        {
            let error = #expect(throws: RedisEndpointError.self) { try RedisEndpoint(url: url) }
            #expect(error?.problem.contains(advice) == true, "\(url): \(error?.description ?? "accepted")")
        }
    }

    @Test(arguments: [
        ("redis+unix:///" + String(repeating: "a", count: 150), "151 bytes"), ("redis://a:0", "port"),
        ("redis://a:65536", "port"), ("redis://:7000", "no host"), ("redis://a/2147483648", "to 2147483647"),
        ("redis+unix:///tmp/r?database=2147483648", "to 2147483647"), ("redis://10.0.0.1#a@b", "@"),
        ("redis+unix:///tmp/r#a@b", "an @ must be written %40"),
    ])
    func saysWhyAnAddressCannotBe(_ url: String, _ reason: String) {
        let error = #expect(throws: RedisEndpointError.self) { try RedisEndpoint(url: url) }
        #expect(error?.problem.contains(reason) == true, "\(error?.description ?? "accepted")")
    }

    @Test
    func aSocketPathMayFillTheSystemsBuffer() throws {
        let longest = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1
        let path = "/" + String(repeating: "a", count: longest - 1)
        #expect(try RedisEndpoint(url: "redis+unix://" + path).address == .unixSocket(path: path))
        #expect(throws: RedisEndpointError.self) { try RedisEndpoint(url: "redis+unix://" + path + "a") }
    }

    @Test(arguments: [
        ("redis://A:7000/3", "a:7000"), ("redis://u:p@[::1]:7000", "[::1]:7000"), ("rediss://a", "a:6379"),
        ("redis+unix:///tmp/r?database=3", "/tmp/r"),
    ])
    func isDescribedByItsAddress(_ url: String, description: String) throws {
        #expect(try RedisEndpoint(url: url).description == description)
    }
}

/// Whatever is printed, logged or dumped: a password is not in it.
@Suite
struct PasswordTests {
    private func texts(of value: some Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return [
            "\(value)", String(reflecting: value), dumped, "\([value])", String(reflecting: ["key": value]),
            "\(Mirror(reflecting: value).children.map { "\($0)" })",
        ]
    }

    /// As it stands in a URL.
    private func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain = UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
            let digits = String(byte, radix: 16, uppercase: true)
            return isPlain ? String(UnicodeScalar(byte)) : "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }

    private func randomPassword(_ random: inout SeededRandom) -> String {
        let characters = Array("abcdefghijklmnopqrstuvwxyz0123456789:/@#?%&=+ []{}\\\"'$!ßé🔒")
        let length = Int.random(in: 12...24, using: &random)
        return String((0..<length).map { _ in characters.randomElement(using: &random) ?? "x" })
    }

    private func expectHidden(_ value: some Any, _ password: String, _ url: String) {
        for text in texts(of: value) {
            for form in [password, percentEncoded(password)] where text.contains(form) {
                Issue.record("\(url) shows its password: \(text)")
            }
        }
    }

    @Test
    func endpointsHideIt() throws {
        var random = SeededRandom(seed: 1)
        for _ in 0..<300 {
            let password = randomPassword(&random)
            for ending in ["a", "a:7000/3", "[::1]"] {
                let url = "redis://user:\(percentEncoded(password))@\(ending)"
                let endpoint = try RedisEndpoint(url: url)
                #expect(endpoint.password == password)
                expectHidden(endpoint, password, url)
                let socket = RedisEndpoint(address: .unixSocket(path: "/tmp/r"), username: "user", password: password)
                expectHidden(socket, password, url)
            }
        }
    }

    /// Every character with a meaning in URLs, at every place of a password, at every place of a URL.
    @Test
    func noPartOfAPasswordIsShownWhereverTheURLIsCut() {
        let characters = [
            "#", "?", "/", "@", "%", ":", "[", "]", " ", ",", ";", "&", "=", "%41", "%C3", "%zz", "::", "://", "#@",
            "/?#",
            "\\", "\"", "\n", "\0", "é", "",
        ]
        let passwords = characters.flatMap {
            ["57\($0)Wc903z", "Wc903z\($0)57", "Qk83x\($0)Wc903z", "\($0)Wc903z", "Wc903z\($0)"]
        }
        let places: [(String) -> String] = [
            { "redis://user:\($0)@127.0.0.1:21001/0" }, { "redis://:\($0)@a" }, { "redis://\($0):x@a" },
            { "redis://\($0)@a" }, { "rediss://u:\($0)@[::1]:7000" }, { "redis+unix://:\($0)@/tmp/r" },
            { "redis+unix://u:\($0)@/tmp/r?database=3#n" }, { "redis://u:\($0)@a#name" }, { "redis://u:\($0)@a:70000" },
            { "redis://u:\($0)@a/x" }, { "http://u:\($0)@a" }, { "u:\($0)@a" }, { "redis:u:\($0)@a" },
            { "redis+unix:///tmp/r?password=\($0)" }, { "redis://a?password=\($0.filter { $0 != "@" })" },
        ]
        for password in passwords {
            for place in places {
                let shown = shownTexts(ofURL: place(password))
                #expect(!showsSecret(shown), "\(place(password)): \(shown)")
            }
        }
        // The search finds what is shown.
        #expect(showsSecret(shownTexts(ofURL: "redis://a#Wc903z")))
        #expect(showsSecret(shownTexts(ofURL: "redis+unix:///Qk83x")))
    }

    /// Everything that is told of a URL, whether it is good or not.
    private func shownTexts(ofURL url: String) -> [String] {
        do throws(RedisEndpointError) {
            let endpoint = try RedisEndpoint(url: url)
            return texts(of: endpoint) + ["\(endpoint.address)", endpoint.name ?? ""]
        } catch {
            return texts(of: error)
        }
    }

    private func showsSecret(_ texts: [String]) -> Bool {
        texts.contains { text in ["Wc903z", "wc903z", "Qk83x", "qk83x"].contains { text.contains($0) } }
    }

    @Test
    func thePassphraseOfAKeyIsHidden() {
        let settings = TLSSettings(certificateFile: "c.pem", keyFile: "k.pem", keyPassphrase: "Wc903z")
        var endpoint = RedisEndpoint(address: .host("a", port: 1))
        endpoint.tls = settings
        #expect(!showsSecret(texts(of: settings) + texts(of: endpoint) + texts(of: [settings])))
        #expect(texts(of: settings).contains { $0.contains("k.pem") })
    }

    /// Wrong in some way, and with a password that may not be encoded as it should be.
    @Test
    func errorsHideIt() {
        var random = SeededRandom(seed: 2)
        var errors = 0
        for _ in 0..<300 {
            let password = randomPassword(&random)
            for form in [password, percentEncoded(password)] {
                let urls = [
                    "redis://user:\(form)@", "redis://user:\(form)@a:99999", "redis://user:\(form)@a/x",
                    "user:\(form)@a",
                    "http://user:\(form)@a", "redis://user:\(form)@a#x", "redis://user:\(form)@a b", "//:\(form)@a",
                    "redis+unix://user:\(form)@host/tmp/r", "redis+unix://user:\(form)@/tmp/r?db=1", "redis:\(form)@a",
                    "redis+unix:///tmp/r?password=\(form)",
                    "redis://a?password=\(form)",
                ]
                for url in urls {
                    do throws(RedisEndpointError) {
                        expectHidden(try RedisEndpoint(url: url), password, url)
                    } catch {
                        errors += 1
                        expectHidden(error, password, url)
                    }
                }
            }
        }
        #expect(errors > 6_000)
    }
}
