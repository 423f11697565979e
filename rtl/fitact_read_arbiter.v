// Puts the read masters of fetch (id 0) and load (id 1) on one AXI read channel. Fetch goes first: it has
// few requests outstanding, so load cannot starve. Responses are routed by their id, without delay.
`default_nettype none

module fitact_read_arbiter #(
    parameter BUS_BITS = 128
) (
    input  wire                clk,
    input  wire                rst_n,

    input  wire                fetch_arvalid,
    output wire                fetch_arready,
    input  wire [31:0]         fetch_araddr,
    input  wire [7:0]          fetch_arlen,
    input  wire [2:0]          fetch_arsize,
    input  wire [1:0]          fetch_arburst,
    output wire                fetch_rvalid,
    input  wire                fetch_rready,
    output wire [BUS_BITS-1:0] fetch_rdata,
    output wire [1:0]          fetch_rresp,
    output wire                fetch_rlast,

    input  wire                load_arvalid,
    output wire                load_arready,
    input  wire [31:0]         load_araddr,
    input  wire [7:0]          load_arlen,
    input  wire [2:0]          load_arsize,
    input  wire [1:0]          load_arburst,
    output wire                load_rvalid,
    input  wire                load_rready,
    output wire [BUS_BITS-1:0] load_rdata,
    output wire [1:0]          load_rresp,
    output wire                load_rlast,

    output wire [0:0]          m_axi_arid,
    output wire [31:0]         m_axi_araddr,
    output wire [7:0]          m_axi_arlen,
    output wire [2:0]          m_axi_arsize,
    output wire [1:0]          m_axi_arburst,
    output wire                m_axi_arvalid,
    input  wire                m_axi_arready,
    input  wire [0:0]          m_axi_rid,
    input  wire [BUS_BITS-1:0] m_axi_rdata,
    input  wire [1:0]          m_axi_rresp,
    input  wire                m_axi_rlast,
    input  wire                m_axi_rvalid,
    output wire                m_axi_rready
);
    // Set while a load request stands on the bus without being taken: fetch may not overtake it then.
    reg load_waits_q;

    wire select_load = load_waits_q | ~fetch_arvalid;

    assign m_axi_arid = select_load;
    assign m_axi_arvalid = fetch_arvalid | load_arvalid;
    assign m_axi_araddr = select_load ? load_araddr : fetch_araddr;
    assign m_axi_arlen = select_load ? load_arlen : fetch_arlen;
    assign m_axi_arsize = select_load ? load_arsize : fetch_arsize;
    assign m_axi_arburst = select_load ? load_arburst : fetch_arburst;
    assign fetch_arready = m_axi_arready & ~select_load;
    assign load_arready = m_axi_arready & select_load;

    always @(posedge clk) begin
        if (!rst_n) load_waits_q <= 1'b0;
        else load_waits_q <= select_load & load_arvalid & ~m_axi_arready;
    end

    assign fetch_rvalid = m_axi_rvalid & ~m_axi_rid;
    assign fetch_rdata = m_axi_rdata;
    assign fetch_rresp = m_axi_rresp;
    assign fetch_rlast = m_axi_rlast;
    assign load_rvalid = m_axi_rvalid & m_axi_rid;
    assign load_rdata = m_axi_rdata;
    assign load_rresp = m_axi_rresp;
    assign load_rlast = m_axi_rlast;
    assign m_axi_rready = m_axi_rid ? load_rready : fetch_rready;
endmodule

`default_nettype wire
