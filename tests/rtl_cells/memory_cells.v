// Test top: fetch, load and store behind the arbiter on one AXI master, an output buffer with known contents,
// and a checker of the AXI rules that the bus model does not check.
`default_nettype none

module memory_cells #(
    parameter BUS_BITS         = 128,
    parameter LANE_WORD_BITS   = 128,
    parameter WORD_BYTES       = 16,
    parameter BIAS_WORD_BYTES  = 128,
    parameter WR_DATA_W        = 1024,
    parameter ACTIVATION_WORDS = 4096,
    parameter WEIGHT_WORDS     = 2048,
    parameter BIAS_WORDS       = 64,
    parameter BOUND_WORDS      = 1024,
    parameter OUTPUT_WORDS     = 1000
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire                  clear,
    input  wire                  halt,
    input  wire [31:0]           window_base,
    input  wire [31:0]           window_last,
    input  wire [1:0]            bad_rresp,     // ORed into every read response
    input  wire [1:0]            bad_bresp,

    input  wire                  start,
    input  wire [31:0]           program_address,
    output wire                  fetch_valid,
    input  wire                  fetch_ready,
    output wire [511:0]          fetch_data,
    output wire                  fetch_address_error,
    output wire                  fetch_bus_error,
    output wire                  fetch_busy,

    input  wire                  load_valid,
    input  wire                  store_valid,
    output wire                  load_ready,
    output wire                  store_ready,
    input  wire                  instr_push,
    input  wire [1:0]            instr_buffer,
    input  wire [15:0]           instr_buffer_base,
    input  wire [31:0]           instr_mem_addr,
    input  wire [15:0]           instr_cols,
    input  wire [15:0]           instr_rows,
    input  wire [15:0]           instr_planes,
    input  wire [31:0]           instr_row_stride,
    input  wire [31:0]           instr_plane_stride,
    input  wire [7:0]            instr_pad_left,
    input  wire [7:0]            instr_pad_right,
    input  wire [7:0]            instr_pad_top,
    input  wire [7:0]            instr_pad_bottom,

    output wire [3:0]            wr_en,
    output wire [15:0]           wr_addr,
    output wire [WR_DATA_W-1:0]  wr_data,
    // start, retire, push, address, bus, range (bits 5..0)
    output wire [5:0]            load_pulses,
    output wire [5:0]            store_pulses,
    output wire                  load_busy,
    output wire                  store_busy,

    output wire [0:0]            m_axi_arid,
    output wire [31:0]           m_axi_araddr,
    output wire [7:0]            m_axi_arlen,
    output wire [2:0]            m_axi_arsize,
    output wire [1:0]            m_axi_arburst,
    output wire                  m_axi_arvalid,
    input  wire                  m_axi_arready,
    input  wire [0:0]            m_axi_rid,
    input  wire [BUS_BITS-1:0]   m_axi_rdata,
    input  wire [1:0]            m_axi_rresp,
    input  wire                  m_axi_rlast,
    input  wire                  m_axi_rvalid,
    output wire                  m_axi_rready,
    output wire [0:0]            m_axi_awid,
    output wire [31:0]           m_axi_awaddr,
    output wire [7:0]            m_axi_awlen,
    output wire [2:0]            m_axi_awsize,
    output wire [1:0]            m_axi_awburst,
    output wire                  m_axi_awvalid,
    input  wire                  m_axi_awready,
    output wire [BUS_BITS-1:0]   m_axi_wdata,
    output wire [BUS_BITS/8-1:0] m_axi_wstrb,
    output wire                  m_axi_wlast,
    output wire                  m_axi_wvalid,
    input  wire                  m_axi_wready,
    input  wire [0:0]            m_axi_bid,
    input  wire [1:0]            m_axi_bresp,
    input  wire                  m_axi_bvalid,
    output wire                  m_axi_bready,
    output reg  [5:0]            violations
);
    wire        fetch_arvalid, fetch_arready, fetch_rvalid, fetch_rready, fetch_rlast;
    wire        load_arvalid, load_arready, load_rvalid, load_rready, load_rlast;
    wire [31:0] fetch_araddr, load_araddr;
    wire [7:0]  fetch_arlen, load_arlen;
    wire [2:0]  fetch_arsize, load_arsize;
    wire [1:0]  fetch_arburst, load_arburst, fetch_rresp, load_rresp;
    wire [BUS_BITS-1:0] fetch_rdata, load_rdata;

    fitact_fetch #(.BUS_BITS(BUS_BITS)) u_fetch (
        .clk(clk), .rst_n(rst_n), .clear(clear), .halt(halt), .start(start), .program_address(program_address),
        .window_base(window_base), .window_last(window_last),
        .arvalid(fetch_arvalid), .arready(fetch_arready), .araddr(fetch_araddr), .arlen(fetch_arlen),
        .arsize(fetch_arsize), .arburst(fetch_arburst), .rvalid(fetch_rvalid), .rready(fetch_rready),
        .rdata(fetch_rdata), .rresp(fetch_rresp), .rlast(fetch_rlast),
        .instr_valid(fetch_valid), .instr_ready(fetch_ready), .instr_data(fetch_data),
        .address_error(fetch_address_error), .bus_error(fetch_bus_error), .busy(fetch_busy)
    );

    fitact_load #(
        .BUS_BITS(BUS_BITS), .WORD_BYTES(WORD_BYTES), .BIAS_WORD_BYTES(BIAS_WORD_BYTES), .WR_DATA_W(WR_DATA_W),
        .ACTIVATION_WORDS(ACTIVATION_WORDS), .WEIGHT_WORDS(WEIGHT_WORDS), .BIAS_WORDS(BIAS_WORDS),
        .BOUND_WORDS(BOUND_WORDS)
    ) u_load (
        .clk(clk), .rst_n(rst_n), .clear(clear), .halt(halt), .window_base(window_base), .window_last(window_last),
        .instr_valid(load_valid), .instr_ready(load_ready), .instr_push_next(instr_push),
        .instr_buffer(instr_buffer), .instr_buffer_base(instr_buffer_base), .instr_mem_addr(instr_mem_addr),
        .instr_cols(instr_cols), .instr_rows(instr_rows), .instr_planes(instr_planes),
        .instr_row_stride(instr_row_stride), .instr_plane_stride(instr_plane_stride),
        .instr_pad_left(instr_pad_left), .instr_pad_right(instr_pad_right), .instr_pad_top(instr_pad_top),
        .instr_pad_bottom(instr_pad_bottom),
        .arvalid(load_arvalid), .arready(load_arready), .araddr(load_araddr), .arlen(load_arlen),
        .arsize(load_arsize), .arburst(load_arburst), .rvalid(load_rvalid), .rready(load_rready),
        .rdata(load_rdata), .rresp(load_rresp), .rlast(load_rlast),
        .wr_en(wr_en), .wr_addr(wr_addr), .wr_data(wr_data),
        .load_start(load_pulses[5]), .retire(load_pulses[4]), .push_next(load_pulses[3]),
        .address_error(load_pulses[2]), .bus_error(load_pulses[1]), .range_error(load_pulses[0]), .busy(load_busy)
    );

    fitact_read_arbiter #(.BUS_BITS(BUS_BITS)) u_arbiter (
        .clk(clk), .rst_n(rst_n),
        .fetch_arvalid(fetch_arvalid), .fetch_arready(fetch_arready), .fetch_araddr(fetch_araddr),
        .fetch_arlen(fetch_arlen), .fetch_arsize(fetch_arsize), .fetch_arburst(fetch_arburst),
        .fetch_rvalid(fetch_rvalid), .fetch_rready(fetch_rready), .fetch_rdata(fetch_rdata),
        .fetch_rresp(fetch_rresp), .fetch_rlast(fetch_rlast),
        .load_arvalid(load_arvalid), .load_arready(load_arready), .load_araddr(load_araddr),
        .load_arlen(load_arlen), .load_arsize(load_arsize), .load_arburst(load_arburst),
        .load_rvalid(load_rvalid), .load_rready(load_rready), .load_rdata(load_rdata),
        .load_rresp(load_rresp), .load_rlast(load_rlast),
        .m_axi_arid(m_axi_arid), .m_axi_araddr(m_axi_araddr), .m_axi_arlen(m_axi_arlen),
        .m_axi_arsize(m_axi_arsize), .m_axi_arburst(m_axi_arburst), .m_axi_arvalid(m_axi_arvalid),
        .m_axi_arready(m_axi_arready), .m_axi_rid(m_axi_rid), .m_axi_rdata(m_axi_rdata),
        .m_axi_rresp(m_axi_rresp | bad_rresp), .m_axi_rlast(m_axi_rlast), .m_axi_rvalid(m_axi_rvalid),
        .m_axi_rready(m_axi_rready)
    );

    // Output buffer: byte i of word a holds 37 a + 101 (a / 256) + 11 i (mod 256); read data are held.
    wire                      rd_en;
    wire [15:0]               rd_addr;
    reg  [LANE_WORD_BITS-1:0] rd_data;
    integer i;
    always @(posedge clk) begin
        if (rd_en) begin
            for (i = 0; i < LANE_WORD_BITS / 8; i = i + 1)
                rd_data[8*i +: 8] <= 8'd37 * rd_addr[7:0] + 8'd101 * rd_addr[15:8] + 8'd11 * i[7:0];
        end
    end

    fitact_store #(
        .BUS_BITS(BUS_BITS), .LANE_WORD_BITS(LANE_WORD_BITS), .WORD_BYTES(WORD_BYTES), .OUTPUT_WORDS(OUTPUT_WORDS)
    ) u_store (
        .clk(clk), .rst_n(rst_n), .clear(clear), .halt(halt), .window_base(window_base), .window_last(window_last),
        .instr_valid(store_valid), .instr_ready(store_ready), .instr_push_prev(instr_push),
        .instr_buffer_base(instr_buffer_base), .instr_mem_addr(instr_mem_addr), .instr_cols(instr_cols),
        .instr_rows(instr_rows), .instr_planes(instr_planes), .instr_row_stride(instr_row_stride),
        .instr_plane_stride(instr_plane_stride),
        .rd_en(rd_en), .rd_addr(rd_addr), .rd_data(rd_data),
        .awvalid(m_axi_awvalid), .awready(m_axi_awready), .awaddr(m_axi_awaddr), .awlen(m_axi_awlen),
        .awsize(m_axi_awsize), .awburst(m_axi_awburst), .wvalid(m_axi_wvalid), .wready(m_axi_wready),
        .wdata(m_axi_wdata), .wstrb(m_axi_wstrb), .wlast(m_axi_wlast), .bvalid(m_axi_bvalid),
        .bready(m_axi_bready), .bresp(m_axi_bresp | bad_bresp),
        .store_start(store_pulses[5]), .retire(store_pulses[4]), .push_prev(store_pulses[3]),
        .address_error(store_pulses[2]), .bus_error(store_pulses[1]), .range_error(store_pulses[0]),
        .busy(store_busy)
    );
    assign m_axi_awid = 1'b0;

    // AXI rules: bits 0..2 a waiting AR, AW, W changed or vanished; 3, 4 a read or write burst crosses 4 KiB, is not
    // INCR or starts between beats; 5 the output buffer was read beyond its end.
    wire [46:0] ar = {m_axi_arid, m_axi_arvalid, m_axi_araddr, m_axi_arlen, m_axi_arsize, m_axi_arburst};
    wire [45:0] aw = {m_axi_awvalid, m_axi_awaddr, m_axi_awlen, m_axi_awsize, m_axi_awburst};
    wire [BUS_BITS+BUS_BITS/8+1:0] w = {m_axi_wvalid, m_axi_wlast, m_axi_wstrb, m_axi_wdata};
    reg [46:0] ar_q;
    reg [45:0] aw_q;
    reg [BUS_BITS+BUS_BITS/8+1:0] w_q;
    reg ar_waits_q, aw_waits_q, w_waits_q;
    wire unused = &{1'b0, m_axi_bid};
    wire [15:0] ar_end = {4'd0, m_axi_araddr[11:0]} + (({8'd0, m_axi_arlen} + 16'd1) << m_axi_arsize);
    wire [15:0] aw_end = {4'd0, m_axi_awaddr[11:0]} + (({8'd0, m_axi_awlen} + 16'd1) << m_axi_awsize);
    always @(posedge clk) begin
        ar_q <= ar;
        aw_q <= aw;
        w_q <= w;
        ar_waits_q <= rst_n & m_axi_arvalid & ~m_axi_arready;
        aw_waits_q <= rst_n & m_axi_awvalid & ~m_axi_awready;
        w_waits_q <= rst_n & m_axi_wvalid & ~m_axi_wready;
        if (!rst_n) violations <= 6'd0;
        else begin
            if (ar_waits_q && ar != ar_q) violations[0] <= 1'b1;
            if (aw_waits_q && aw != aw_q) violations[1] <= 1'b1;
            if (w_waits_q && w != w_q) violations[2] <= 1'b1;
            if (m_axi_arvalid && (ar_end > 16'd4096 || m_axi_arburst != 2'b01
                || (m_axi_araddr & ((32'd1 << m_axi_arsize) - 1)) != 0)) violations[3] <= 1'b1;
            if (m_axi_awvalid && (aw_end > 16'd4096 || m_axi_awburst != 2'b01
                || (m_axi_awaddr & ((32'd1 << m_axi_awsize) - 1)) != 0)) violations[4] <= 1'b1;
            if (rd_en && {16'd0, rd_addr} >= OUTPUT_WORDS) violations[5] <= 1'b1;
        end
    end
endmodule

`default_nettype wire
