// Plain Verilog-2005 bench of the whole machine: an AXI4 memory, and an AXI4-Lite host that starts a program, waits for
// the interrupt and writes the memory to a file. It knows nothing of this project but the machine's ports.
//
// Files: memory.hex (a bus word a line), writes.hex (address and data of each register write, 64 bits a line),
// reads.hex (an address a line); UPSET_* say which bit of a register flips, and after how many reads of its word; out: after.hex, and a line `READ <address> <data>` for each of reads.hex.
`timescale 1ns / 1ps
`default_nettype none

module plain_bench;
    localparam BUS_BITS  = `BUS_BITS;
    localparam BUS_BYTES = BUS_BITS / 8;
    localparam BUS_LOG   = $clog2(BUS_BYTES);
    localparam WORDS     = `MEMORY_WORDS;  // of the bus
    localparam QUEUE     = 16;             // bursts that wait in each direction

    reg clk = 1'b0;
    reg rst_n = 1'b0;
    always #5 clk = !clk;

    reg [BUS_BITS-1:0] memory [0:WORDS-1];
    reg [63:0] writes [0:`WRITES-1];
    reg [31:0] reads [0:`READS-1];
    integer seed;
    integer stall;  // chance in 256 that a channel pauses
    integer errors;

    wire        irq;
    reg  [11:0] s_axil_awaddr, s_axil_araddr;
    reg         s_axil_awvalid, s_axil_wvalid, s_axil_bready, s_axil_arvalid, s_axil_rready;
    reg  [31:0] s_axil_wdata;
    wire        s_axil_awready, s_axil_wready, s_axil_bvalid, s_axil_arready, s_axil_rvalid;
    wire [31:0] s_axil_rdata;
    wire [1:0]  s_axil_bresp, s_axil_rresp;

    wire [0:0]  m_axi_awid, m_axi_arid;
    wire [31:0] m_axi_awaddr, m_axi_araddr;
    wire [7:0]  m_axi_awlen, m_axi_arlen;
    wire [2:0]  m_axi_awsize, m_axi_arsize;
    wire [1:0]  m_axi_awburst, m_axi_arburst;
    wire        m_axi_awvalid, m_axi_arvalid, m_axi_wvalid, m_axi_wlast, m_axi_bready, m_axi_rready;
    wire [BUS_BITS-1:0]  m_axi_wdata;
    wire [BUS_BYTES-1:0] m_axi_wstrb;
    reg         m_axi_awready, m_axi_arready, m_axi_wready, m_axi_bvalid, m_axi_rvalid, m_axi_rlast;
    reg  [0:0]  m_axi_bid, m_axi_rid;
    reg  [BUS_BITS-1:0] m_axi_rdata;

    fitact_top u_top (
        .clk(clk), .rst_n(rst_n), .irq(irq),
        .s_axil_awaddr(s_axil_awaddr), .s_axil_awvalid(s_axil_awvalid), .s_axil_awready(s_axil_awready),
        .s_axil_wdata(s_axil_wdata), .s_axil_wstrb(4'hf), .s_axil_wvalid(s_axil_wvalid),
        .s_axil_wready(s_axil_wready), .s_axil_bresp(s_axil_bresp), .s_axil_bvalid(s_axil_bvalid),
        .s_axil_bready(s_axil_bready), .s_axil_araddr(s_axil_araddr), .s_axil_arvalid(s_axil_arvalid),
        .s_axil_arready(s_axil_arready), .s_axil_rdata(s_axil_rdata), .s_axil_rresp(s_axil_rresp),
        .s_axil_rvalid(s_axil_rvalid), .s_axil_rready(s_axil_rready),
        .m_axi_awid(m_axi_awid), .m_axi_awaddr(m_axi_awaddr), .m_axi_awlen(m_axi_awlen),
        .m_axi_awsize(m_axi_awsize), .m_axi_awburst(m_axi_awburst), .m_axi_awlock(), .m_axi_awcache(),
        .m_axi_awprot(), .m_axi_awvalid(m_axi_awvalid), .m_axi_awready(m_axi_awready),
        .m_axi_wdata(m_axi_wdata), .m_axi_wstrb(m_axi_wstrb), .m_axi_wlast(m_axi_wlast),
        .m_axi_wvalid(m_axi_wvalid), .m_axi_wready(m_axi_wready),
        .m_axi_bid(m_axi_bid), .m_axi_bresp(2'b00), .m_axi_bvalid(m_axi_bvalid), .m_axi_bready(m_axi_bready),
        .m_axi_arid(m_axi_arid), .m_axi_araddr(m_axi_araddr), .m_axi_arlen(m_axi_arlen),
        .m_axi_arsize(m_axi_arsize), .m_axi_arburst(m_axi_arburst), .m_axi_arlock(), .m_axi_arcache(),
        .m_axi_arprot(), .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready),
        .m_axi_rid(m_axi_rid), .m_axi_rdata(m_axi_rdata), .m_axi_rresp(2'b00), .m_axi_rlast(m_axi_rlast),
        .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready)
    );

    function pause;
        input unused;
        pause = ($random(seed) & 255) < stall;
    endfunction

    task fail;
        input [8*40-1:0] what;
        begin
            errors = errors + 1;
            $display("ERROR %0s at %0t", what, $time);
        end
    endtask

    task check_burst;
        input [31:0] address;
        input [7:0] length;
        input [2:0] size;
        input [1:0] burst;
        begin
            if (burst !== 2'b01) fail("a burst is not INCR");
            if ((1 << size) > BUS_BYTES) fail("beats are wider than the bus");
            if ((address & ((1 << size) - 1)) !== 0) fail("an address is not that of a beat");
            if ((address & 4095) + ((length + 1) << size) > 4096) fail("a burst crosses 4 KiB");
            if ((address >> BUS_LOG) + (((length + 1) << size) >> BUS_LOG) > WORDS) fail("an address is outside");
        end
    endtask

    // ---------------------------------------------------------------- memory: everything happens at the rising edge
    reg [31:0] ar_address [0:QUEUE-1], aw_address [0:QUEUE-1];
    reg [7:0]  ar_length [0:QUEUE-1], aw_length [0:QUEUE-1];
    reg [2:0]  ar_size [0:QUEUE-1], aw_size [0:QUEUE-1];
    reg        ar_id [0:QUEUE-1], aw_id [0:QUEUE-1];
    integer ar_in, ar_out, aw_in, aw_out, b_in, b_out, r_beat, w_beat, lane, first, last;
    reg [31:0] place;
    reg ar_waits, aw_waits, w_waits;
    reg [45:0] ar_before, aw_before;
    reg [BUS_BITS+BUS_BYTES:0] w_before;

    always @(posedge clk) if (!rst_n) begin
        {ar_in, ar_out, aw_in, aw_out, b_in, b_out, r_beat, w_beat} = 0;
        {ar_waits, aw_waits, w_waits} = 0;
        m_axi_awready <= 0; m_axi_arready <= 0; m_axi_wready <= 0; m_axi_bvalid <= 0; m_axi_rvalid <= 0;
        m_axi_rid <= 0; m_axi_bid <= 0;
    end else begin
        if (ar_waits && ar_before !== {m_axi_arid, m_axi_arvalid, m_axi_araddr, m_axi_arlen, m_axi_arsize})
            fail("a waiting AR changed");
        if (aw_waits && aw_before !== {m_axi_awid, m_axi_awvalid, m_axi_awaddr, m_axi_awlen, m_axi_awsize})
            fail("a waiting AW changed");
        if (w_waits && w_before !== {m_axi_wlast, m_axi_wstrb, m_axi_wdata}) fail("a waiting W changed");
        if ((^{m_axi_arvalid, m_axi_awvalid, m_axi_wvalid, m_axi_rready, m_axi_bready}) === 1'bx)
            fail("a handshake is unknown");
        ar_waits = m_axi_arvalid && !m_axi_arready;
        aw_waits = m_axi_awvalid && !m_axi_awready;
        w_waits = m_axi_wvalid && !m_axi_wready;
        ar_before = {m_axi_arid, m_axi_arvalid, m_axi_araddr, m_axi_arlen, m_axi_arsize};
        aw_before = {m_axi_awid, m_axi_awvalid, m_axi_awaddr, m_axi_awlen, m_axi_awsize};
        w_before = {m_axi_wlast, m_axi_wstrb, m_axi_wdata};

        // Requests.
        if (m_axi_arvalid && m_axi_arready) begin
            check_burst(m_axi_araddr, m_axi_arlen, m_axi_arsize, m_axi_arburst);
            ar_address[ar_in % QUEUE] = m_axi_araddr;
            ar_length[ar_in % QUEUE] = m_axi_arlen;
            ar_size[ar_in % QUEUE] = m_axi_arsize;
            ar_id[ar_in % QUEUE] = m_axi_arid;
            ar_in = ar_in + 1;
        end
        if (m_axi_awvalid && m_axi_awready) begin
            check_burst(m_axi_awaddr, m_axi_awlen, m_axi_awsize, m_axi_awburst);
            aw_address[aw_in % QUEUE] = m_axi_awaddr;
            aw_length[aw_in % QUEUE] = m_axi_awlen;
            aw_size[aw_in % QUEUE] = m_axi_awsize;
            aw_id[aw_in % QUEUE] = m_axi_awid;
            aw_in = aw_in + 1;
        end
        m_axi_arready <= ar_in - ar_out < QUEUE - 1 && !pause(0);
        m_axi_awready <= aw_in - b_out < QUEUE - 1 && !pause(0);

        // Write data: only with their address, byte by byte.
        if (m_axi_wvalid && m_axi_wready) begin
            place = aw_address[aw_out % QUEUE] + (w_beat << aw_size[aw_out % QUEUE]);
            first = place % BUS_BYTES;
            last = first + (1 << aw_size[aw_out % QUEUE]) - 1;
            for (lane = 0; lane < BUS_BYTES; lane = lane + 1) if (m_axi_wstrb[lane] !== 1'b0) begin
                if (lane < first || lane > last) fail("a strobe is outside of its beat");
                if ((^m_axi_wdata[8*lane +: 8]) === 1'bx) fail("an unknown byte is written");
                memory[place >> BUS_LOG][8*lane +: 8] = m_axi_wdata[8*lane +: 8];
            end
            if (m_axi_wlast !== (w_beat == aw_length[aw_out % QUEUE])) fail("WLAST is not at the last beat");
            w_beat = w_beat + 1;
            if (m_axi_wlast) begin
                w_beat = 0;
                aw_out = aw_out + 1;
                b_in = b_in + 1;
            end
        end
        m_axi_wready <= aw_in > aw_out && !pause(0);  // not ahead of its address

        // Write responses.
        if (m_axi_bvalid && m_axi_bready) m_axi_bvalid <= 0;
        if ((!m_axi_bvalid || m_axi_bready) && b_in > b_out && !pause(0)) begin
            m_axi_bvalid <= 1;
            m_axi_bid <= aw_id[b_out % QUEUE];
            b_out = b_out + 1;
        end

        // Read data; lanes that carry nothing are unknown.
        if (m_axi_rvalid && m_axi_rready) m_axi_rvalid <= 0;
        if ((!m_axi_rvalid || m_axi_rready) && ar_in > ar_out && !pause(0)) begin
            place = ar_address[ar_out % QUEUE] + (r_beat << ar_size[ar_out % QUEUE]);
            first = place % BUS_BYTES;
            last = first + (1 << ar_size[ar_out % QUEUE]) - 1;
            for (lane = 0; lane < BUS_BYTES; lane = lane + 1)
                m_axi_rdata[8*lane +: 8] <= lane < first || lane > last ? 8'bx : memory[place >> BUS_LOG][8*lane +: 8];
            m_axi_rvalid <= 1;
            m_axi_rid <= ar_id[ar_out % QUEUE];
            m_axi_rlast <= r_beat == ar_length[ar_out % QUEUE];
            if (r_beat == ar_length[ar_out % QUEUE]) begin
                r_beat = 0;
                ar_out = ar_out + 1;
            end else r_beat = r_beat + 1;
        end
    end

    // ---------------------------------------------------------------- host
    reg aw_taken, w_taken, ar_taken;
    always @(posedge clk) begin
        aw_taken = s_axil_awvalid && s_axil_awready;
        w_taken = s_axil_wvalid && s_axil_wready;
        ar_taken = s_axil_arvalid && s_axil_arready;
    end

    task write_register;
        input [31:0] address;
        input [31:0] data;
        begin
            @(negedge clk);
            s_axil_awaddr = address[11:0]; s_axil_wdata = data; s_axil_awvalid = 1; s_axil_wvalid = 1;
            while (s_axil_awvalid || s_axil_wvalid) begin
                @(posedge clk);
                #1;
                if (aw_taken) s_axil_awvalid = 0;
                if (w_taken) s_axil_wvalid = 0;
            end
            s_axil_bready = 1;
            @(negedge clk);
            while (!s_axil_bvalid) @(negedge clk);
            if (s_axil_bresp !== 2'b00) fail("a register write is refused");
            @(negedge clk);
            s_axil_bready = 0;
        end
    endtask

    task read_register;
        input [31:0] address;
        begin
            @(negedge clk);
            s_axil_araddr = address[11:0]; s_axil_arvalid = 1;
            while (s_axil_arvalid) begin
                @(posedge clk);
                #1;
                if (ar_taken) s_axil_arvalid = 0;
            end
            @(negedge clk);
            while (!s_axil_rvalid) @(negedge clk);
            if (s_axil_rresp !== 2'b00) fail("a register read is refused");
            $display("READ %0d %0d", address, s_axil_rdata);
            s_axil_rready = 1;
            @(negedge clk);
            s_axil_rready = 0;
        end
    endtask

    // ---------------------------------------------------------------- an upset of a word that is held
`ifdef UPSET_REGISTER
    integer upset_reads, upset_idle, upset_done;
    initial {upset_reads, upset_idle, upset_done} = 0;
    always @(negedge clk) begin
        upset_idle = `UPSET_ENABLE ? 0 : upset_idle + 1;
        if (`UPSET_ENABLE) upset_reads = upset_reads + 1;
        // two cycles after a read, with no other one since
        if (!upset_done && upset_reads >= `UPSET_AFTER && upset_idle == 2) begin
            `UPSET_REGISTER[`UPSET_BIT] = !`UPSET_REGISTER[`UPSET_BIT];
            upset_done = 1;
            $display("UPSET after read %0d", upset_reads);
        end
    end
`endif

    integer number, cycles;
    initial begin
        errors = 0;
        if (!$value$plusargs("seed=%d", seed)) seed = 1;
        if (!$value$plusargs("stall=%d", stall)) stall = 0;
        {s_axil_awvalid, s_axil_wvalid, s_axil_bready, s_axil_arvalid, s_axil_rready} = 0;
        $readmemh("memory.hex", memory);
        $readmemh("writes.hex", writes);
        $readmemh("reads.hex", reads);
        repeat (4) @(negedge clk);
        rst_n = 1;
        for (number = 0; number < `WRITES; number = number + 1)
            write_register(writes[number][63:32], writes[number][31:0]);
        cycles = 0;
        while (irq !== 1'b1 && cycles < `LIMIT) begin
            @(negedge clk);
            cycles = cycles + 1;
        end
        if (irq !== 1'b1) fail("no interrupt came");
        for (number = 0; number < `READS; number = number + 1) read_register(reads[number]);
        $writememh("after.hex", memory);
        $display("END %0d", errors);
        $finish;
    end
endmodule

`default_nettype wire
