"""Exports of venues with invented trades."""

TRADOVATE = """symbol,_priceFormat,buyFillId,sellFillId,qty,buyPrice,sellPrice,pnl,boughtTimestamp,\
soldTimestamp,duration
MNQZ5,-2,1001,1002,1,25292.00,25271.50,$(41.00),12/01/2025 16:19:49,12/01/2025 16:33:29,13min
MNQZ5,-2,1004,1003,1,25271.00,25271.50,$1.00,12/01/2025 16:33:05,12/01/2025 16:19:49,13min
MNQZ5,-2,1004,1005,1,25271.00,25272.00,"$1,002.00",12/01/2025 16:33:05,12/01/2025 16:39:49,6min
"""
TOPSTEPX = """Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type,TradeDay,\
TradeDuration,Commissions
7,MNQH6,05/07/2025 13:26:13 +01:00,05/07/2025 13:26:46 +01:00,25097.25,25099.25,2.22,12.000000000,3,Long,x,32.5,
8,MNQH6,05/07/2025 14:26:13 +01:00,05/07/2025 14:26:46 +01:00,25097.25,25099.25,2.22,-4.10,1,Short,x,32.5,0.50
"""
NINJATRADER = """Trade number;Instrument;Account;Strategy;Market pos.;Qty;Entry price;Exit price;\
Entry time;Exit time;Profit;Commission
1;ES 12-25;Sim101;;Long;1;6000;6001;12/15/2025 9:12:00 AM;12/15/2025 9:13:00 AM;$45.96;$4.04
2;ES 12-25;Sim101;;Short;1;6000;6001;12/15/2025 1:12:00 PM;12/15/2025 1:13:00 PM;-$54.04;$4.04
"""
CTRADER = """"Symbol","Opening direction","Closing time (UTC+2)","Entry price","Closing price",\
"Closing Quantity","Net €","Balance €"
"BTCUSD","Buy","02/03/2026 14:47:44.584","65377.26","66783.49","0.09 Lots","104.73","10 104.73"
"EURUSD","Sell","16/03/2026 11:43:59.950","1.15810","1.15643","0.10 Lots","-4.73","10 100.00"
"""
DXTRADE = """Date and Time,Symbol,Order ID,Trade Code,Side,Position effect,Trade Volume,Trade Price,\
Commission,Closed P&L,Net Closed P&L
17/05/26 11:52,XAUUSD,1,a,Buy,Opening,2,2000.0,3.50,,
17/05/26 12:52,XAUUSD,2,b,Sell,Closing,1,2010.0,1.75,10.00,8.25
17/05/26 13:52,XAUUSD,3,c,Sell,Closing,1,1990.0,1.75,-10.00,-11.75
"""
MYFXBOOK = """Tags,Ticket,Open Date,Close Date,Symbol,Action,Units/Lots,SL,TP,Open Price,\
Close Price,Commission,Swap,Profit
,1,01/02/2024 09:00,,,Deposit,,,,,,,,1000.00
,2,01/03/2024 09:00,01/03/2024 12:00,EURUSD,Buy,0.10,,,1.1,1.2,0,0,19.00
,3,01/03/2024 09:00,01/03/2024 12:00,EURUSD,Buy Limit,0.10,,,1.1,1.2,0,0,0
Open Trades
Tags,Ticket,Open Date,Symbol,Action,Units/Lots,SL,TP,Open Price,Profit
,4,01/04/2024 09:00,EURUSD,Buy,0.10,,,1.1,7.00
"""
MQL5 = """Time;Type;Volume;Symbol;Price;S/L;T/P;Time;Price;Commission;Swap;Profit;Comment
2025.12.02 10:00:00;Sell;0.20;EURUSD;1.1;;;2025.12.02 12:00:00;1.2;-0.70;-0.20;-30.00;
2025.12.01 10:00:00;Buy;0.10;XAUUSD;2500.00;;;2025.12.01 12:00:00;2510.00;-0.10;0;100.00;
2025.11.03 15:04:11;Balance;;;;;;;;;;1 000.00;
"""
